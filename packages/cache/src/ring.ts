import { horizon } from '@attune/expr'
import { bucket, type CacheManager } from './manager.ts'

/**
 * Keeps only rows that a mask can still see: the first `pinned` rows and a ring over the rest, as wide as the mask's horizon plus one
 * step's new rows. Both numbers are derived from the mask itself.
 */
export const ring = (): CacheManager => ({
  name: 'ring',
  why(_kind, mask) {
    return Number.isFinite(horizon(mask).window)
      ? undefined
      : 'the mask lets a query see rows arbitrarily far back, so no row may be dropped'
  },
  layout(mask, _rows, chunk) {
    const { window, pinned } = horizon(mask)
    // A step writes its rows before its first query reads: that query must still find the rows of its own window.
    const capacity = bucket(pinned + window + chunk - 1, 16)
    const size = capacity - pinned
    return {
      key: `ring${capacity}+${pinned}`,
      capacity,
      slot: row => (row < pinned ? row : pinned + ((row - pinned) % size)),
      length: n => Math.min(n, capacity),
      remembersRows: true,
    }
  },
})

/** The smallest exact manager for each layer: a ring where the mask's horizon is finite, else contiguous. */
export function automatic(first: CacheManager, otherwise: CacheManager): CacheManager {
  const pick = (mask: Parameters<CacheManager['layout']>[0], rows: number, chunk: number) => {
    if (first.why({ kind: 'rows', heads: 1, width: 1 }, mask)) return otherwise
    return first.layout(mask, rows, chunk).capacity < otherwise.layout(mask, rows, chunk).capacity ? first : otherwise
  }
  return {
    name: `${first.name}|${otherwise.name}`,
    why: (kind, mask) => (first.why(kind, mask) ? otherwise.why(kind, mask) : undefined),
    layout: (mask, rows, chunk) => pick(mask, rows, chunk).layout(mask, rows, chunk),
  }
}
