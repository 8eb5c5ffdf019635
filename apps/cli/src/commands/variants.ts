import type { CliCommand } from '../command.ts'
import { table } from '../table.ts'

export const variants: CliCommand = {
  name: 'variants',
  summary: 'List the attention variants and the conversions between them.',
  define: c => c,
  async run(context) {
    const { attention } = await import('attune')
    const list = attention.map(v => ({ name: v.name, ...v.about }))
    const bridges = attention
      .flatMap(v => v.bridges)
      .map(b => ({ from: b.from, to: b.to, name: b.name, exactness: b.exactness, needs: b.needs ?? 'weights', paper: b.paper }))
    context.result({ variants: list, bridges }, () => {
      const rows = list.map(v => [v.name, v.title, v.family ?? '', v.paper ?? ''])
      const edges = bridges.map(b => [`${b.from} → ${b.to}`, b.name, b.exactness, b.needs, b.paper ?? ''])
      return `${table(['variant', 'title', 'family', 'paper'], rows)}\n${table(['conversion', 'method', 'class', 'needs', 'source'], edges)}`
    })
  },
}
