import { type Bounds, classify } from './bounds.ts'
import { type Expr, MAX_INTEGER } from './expr.ts'

/** A query sees only the first `pinned` rows and the rows less than `window` before its own. Infinity: all of them may be seen. */
export interface Horizon {
  readonly window: number
  readonly pinned: number
}

/**
 * How far back a mask over `q.row` and `k.row` can see: what a ring cache must keep. Sound for every row and head; `bounds` may tell
 * what tables hold. Rows after the query are not its concern. Throws ERR_EXPR if the mask mentions the score.
 */
export function horizon(mask: Expr, bounds: Bounds = {}): Horizon {
  const dead = (distance: readonly [number, number], key: readonly [number, number]): boolean =>
    classify(mask, {
      ...bounds,
      variables: { ...bounds.variables, 'k.row': key, 'q.row': [distance[0] + key[0], distance[1] + key[1]] },
      differences: [...(bounds.differences ?? []), { of: ['q.row', 'k.row'], range: distance }],
    }) === 'none'
  const beyond = (window: number, pinned: number): boolean => dead([window, Infinity], [pinned, Infinity])

  if (!beyond(MAX_INTEGER, MAX_INTEGER)) return { window: Infinity, pinned: 0 }
  let pinned = least(p => beyond(MAX_INTEGER, p))
  let window = least(w => beyond(w, pinned))
  // a gap just inside the edge, as a dilated window leaves, is seen only one distance at a time
  for (let n = 0; n < PATIENCE && window > 0 && dead([window - 1, window - 1], [pinned, Infinity]); n++) window--
  for (let n = 0; n < PATIENCE && pinned > 0 && dead([window, Infinity], [pinned - 1, pinned - 1]); n++) pinned--
  return { window, pinned }
}

const PATIENCE = 4096

/** The least number up to MAX_INTEGER from which a monotone property holds, given that it holds there. */
function least(holds: (n: number) => boolean): number {
  let lo = 0
  let hi = MAX_INTEGER
  while (lo < hi) {
    const middle = Math.floor((lo + hi) / 2)
    if (holds(middle)) hi = middle
    else lo = middle + 1
  }
  return lo
}
