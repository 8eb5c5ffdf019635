import { type Past, partsOf, type Segment, type StateSpec } from '@attune/attention'
import { same } from '@attune/expr'
import { AttuneError, type Tensor } from '@attune/tensor'
import type { LayerStates } from './keeper.ts'

/** What a layer remembers after its append. */
export interface Owned {
  readonly past: Past
}

/** Adds to a layer's past what it borrows of earlier layers, under its own names. */
export function borrowed(spec: StateSpec, own: Past, layers: readonly (Owned | undefined)[]): Past {
  return partsOf(spec, 'borrow').reduce((past, [name, { layer, name: part }]) => {
    const owner = layers[layer]?.past
    if (!owner?.parts[part])
      throw new AttuneError(
        'ERR_ARGUMENT',
        `state '${name}' borrows '${part}' of layer ${layer}, which has no such part before this layer`,
        {
          name,
          layer,
          part,
        },
      )
    return withPart(past, name, owner, part)
  }, own)
}

/** Layers with the masks of all layers that read their rows: a manager must keep what any of them sees. */
export function readByAll(layers: readonly LayerStates[]): LayerStates[] {
  const ownerOf = (layer: number, name: string): number => {
    const kind = layers[layer]?.spec[name]
    // Only earlier layers can be read; a step says what is wrong with others.
    return kind?.kind === 'borrow' && kind.layer < layer ? ownerOf(kind.layer, kind.name) : layer
  }
  return layers.map((layer, i) => {
    const readers = layers.filter(l => partsOf(l.spec, 'borrow').some(([, b]) => ownerOf(b.layer, b.name) === i))
    const mask = readers.reduce((m, reader) => (same(m, reader.mask) ? m : m.or(reader.mask)), layer.mask)
    return { ...layer, mask, positions: layer.positions || readers.some(r => r.positions) }
  })
}

function withPart(past: Past, name: string, owner: Past, part: string): Past {
  const renamed = (p: string) => (p === name ? part : p)
  return {
    ...past,
    ...segmentWith(past, name, owner, part),
    more: owner.more?.map((segment, i) => segmentWith(past.more?.[i] ?? NOTHING, name, segment, part)) ?? past.more,
    at: (p, batch, row) => (p === name ? owner.at(part, batch, row) : past.at(p, batch, row)),
    dense: p => (p === name ? owner.dense(part) : past.dense(p)),
    // The owner's policy sees what every reader attends to.
    observing: owner.observing && {
      mass: owner.observing.mass,
      takeMass: (p, mass) => owner.observing!.takeMass(renamed(p), mass),
      takeQueries: owner.observing.takeQueries && ((p, q, heads) => owner.observing!.takeQueries!(renamed(p), q, heads)),
    },
  }
}

const NOTHING: Segment = { parts: {}, lengths: {} }

function segmentWith(own: Segment, name: string, owner: Segment, part: string): Segment {
  const put = (mine: Readonly<Record<string, Tensor>> | undefined, theirs: Readonly<Record<string, Tensor>> | undefined) =>
    theirs?.[part] ? { ...mine, [name]: theirs[part] } : mine
  const pages = owner.pages?.tables[part]
    ? { size: owner.pages.size, tables: { ...own.pages?.tables, [name]: owner.pages.tables[part] } }
    : own.pages
  return {
    parts: { ...own.parts, [name]: owner.parts[part] },
    lengths: { ...own.lengths, [name]: owner.lengths[part] },
    rows: put(own.rows, owner.rows),
    positions: put(own.positions, owner.positions),
    pages,
    sees: own.sees ?? owner.sees,
    turn: owner.turn ? (p, x, heads) => (p === name ? owner.turn!(part, x, heads) : (own.turn?.(p, x, heads) ?? x)) : own.turn,
    turnBack: owner.turnBack ? (p, x) => (p === name ? owner.turnBack!(part, x) : (own.turnBack?.(p, x) ?? x)) : own.turnBack,
  }
}
