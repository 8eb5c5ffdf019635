import { type Past, partsOf, type StateSpec } from '@attune/attention'
import { AttuneError, type Tensor } from '@attune/tensor'

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

function withPart(past: Past, name: string, owner: Past, part: string): Past {
  const put = (own: Readonly<Record<string, Tensor>> | undefined, theirs: Readonly<Record<string, Tensor>> | undefined) =>
    theirs?.[part] ? { ...own, [name]: theirs[part] } : own
  const pages = owner.pages?.tables[part]
    ? { size: owner.pages.size, tables: { ...past.pages?.tables, [name]: owner.pages.tables[part] } }
    : past.pages
  const first = Object.keys(past.parts).length === 0
  const renamed = (p: string) => (p === name ? part : p)
  return {
    ...past,
    parts: { ...past.parts, [name]: owner.parts[part] },
    lengths: { ...past.lengths, [name]: owner.lengths[part] },
    rows: put(past.rows, owner.rows),
    positions: put(past.positions, owner.positions),
    pages,
    more: first ? owner.more : past.more,
    turn: owner.turn ? (p, x) => (p === name ? owner.turn!(part, x) : (past.turn?.(p, x) ?? x)) : past.turn,
    turnBack: owner.turnBack ? (p, x) => (p === name ? owner.turnBack!(part, x) : (past.turnBack?.(p, x) ?? x)) : past.turnBack,
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
