import { rulesOf } from '@attune/attention'
import type { LayerStates, Sharing } from './keeper.ts'

/** Where whole sequences may share their beginnings, from where their rows may and what the other kinds of state say of themselves. */
export function sharingOf(rows: Sharing | undefined, layers: readonly LayerStates[]): Sharing | undefined {
  if (!rows) return undefined
  let { every, whole } = rows
  for (const { spec } of layers)
    for (const kind of Object.values(spec)) {
      if (kind.kind === 'borrow') continue
      // What an encoder read does not follow from a sequence's tokens.
      if (kind.kind === 'rows' && kind.axis === 'memory') return undefined
      const { share } = rulesOf(kind)
      if (share === 'never') return undefined
      if (typeof share === 'object') every = leastCommon(every, share.multiplesOf)
      // Only rows lie in pages; the rest is copied as it stands.
      if (kind.kind !== 'rows') whole = true
      else if (share === 'at a snapshot') return undefined
    }
  return { every, bytes: (rows.bytes / rows.every) * every, whole }
}

function leastCommon(a: number, b: number): number {
  let [x, y] = [a, b]
  while (y > 0) [x, y] = [y, x % y]
  return (a / x) * b
}
