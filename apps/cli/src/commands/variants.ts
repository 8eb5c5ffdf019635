import type { CliCommand } from '../command.ts'
import { table } from '../table.ts'

interface Entry {
  readonly kind: string
  readonly name: string
  readonly title: string
  readonly family?: string
  readonly paper?: string
  readonly oracle?: string
  /** What its tests compare it with exists. */
  readonly proven: boolean
}

export const variants: CliCommand = {
  name: 'variants',
  summary: 'List attention variants, positions, caches, policies and conversions, and what proves each.',
  define: c => c,
  async run(context) {
    const { attention, caches, policies, positions } = await import('attune')
    const entry = (kind: string, name: string, about: Omit<Entry, 'kind' | 'name' | 'proven'>): Entry => ({
      kind,
      name,
      ...about,
      proven: about.oracle !== undefined,
    })
    const list = [
      ...attention.map(v => entry('attention', v.name, v.about)),
      ...positions.map(({ name, ...about }) => entry('position', name, about)),
      ...caches.map(c => entry('cache', c.name, c.about)),
      ...policies.map(p => entry('policy', p.name, p.about)),
    ]
    // A variant's meaning is a composition of primitives, which every device has; kernels only make it faster.
    const devices = ['reference', 'cpu', 'webgpu']
    const bridges = attention
      .flatMap(v => v.bridges)
      .map(b => ({
        ...{ from: b.from, to: b.to, name: b.name, exactness: b.exactness, needs: b.needs ?? 'weights', paper: b.paper },
        ...{ oracle: b.oracle, proven: b.oracle !== undefined || b.exactness === 'exact' },
      }))
    context.result({ devices, variants: list, bridges }, () => {
      const rows = list.map(v => [v.kind, v.name, v.title, v.family ?? '', v.paper ?? '', v.oracle ?? 'unproven'])
      const edges = bridges.map(b => [`${b.from} → ${b.to}`, b.name, b.exactness, b.needs, b.paper ?? ''])
      const heads = ['kind', 'name', 'title', 'family', 'paper', 'compared with']
      return `${table(heads, rows)}\n${table(['conversion', 'method', 'class', 'needs', 'source'], edges)}`
    })
  },
}
