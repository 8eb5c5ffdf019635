import { horizon } from '@attune/expr'
import { bucket, ORACLE } from './manager.ts'
import { type LayoutOf, type SlotManager, slotManager } from './slots.ts'

/**
 * Keeps only rows that a mask can still see: the first `pinned` rows and a ring over the rest, as wide as the mask's horizon plus one
 * step's new rows. Both numbers are derived from the mask itself.
 */
export const ring = (): SlotManager =>
  slotManager({
    name: 'ring',
    about: { title: 'A ring as wide as the mask sees', oracle: ORACLE },
    why(kind, mask) {
      if (kind.kind === 'pool') return 'pooled rows stand beside all rows they are made of'
      if (kind.kind !== 'rows' || kind.axis === 'memory') return undefined
      if (kind.rewritten) return 'rewritten rows lie in row order'
      if (kind.reads.includes('in order')) return 'it is read as runs of slots in row order'
      return Number.isFinite(horizon(mask).window)
        ? undefined
        : 'the mask lets a query see rows arbitrarily far back, so no row may be dropped'
    },
    layout({ mask }, _rows, chunk) {
      const seen = horizon(mask)
      // A layer that keeps no rows may see arbitrarily far.
      const { window, pinned } = Number.isFinite(seen.window) ? seen : { window: 0, pinned: 0 }
      // A step writes its rows before its first query reads: that query must still find its own window, and the row that leaves it.
      const capacity = bucket(pinned + window + chunk, 16)
      const size = capacity - pinned
      return {
        key: `ring${capacity}+${pinned}`,
        capacity,
        slot: row => (row < pinned ? row : pinned + ((row - pinned) % size)),
        find: row => row.lt(pinned).select(row, row.sub(pinned).max(0).mod(size).add(pinned)),
        length: n => Math.min(n, capacity),
        remembersRows: true,
      }
    },
  })

/** The smallest exact manager for each layer: a ring where the mask's horizon is finite, else contiguous. */
export function automatic(first: SlotManager, otherwise: SlotManager): SlotManager {
  const pick = (layer: LayoutOf, rows: number, chunk: number) => {
    if (Object.values(layer.spec).some(kind => first.why(kind, layer.mask))) return otherwise
    return first.layout(layer, rows, chunk).capacity < otherwise.layout(layer, rows, chunk).capacity ? first : otherwise
  }
  return slotManager({
    name: `${first.name}|${otherwise.name}`,
    about: { title: `${first.about.title}, where exact; else ${otherwise.about.title.toLowerCase()}`, oracle: ORACLE },
    why: (kind, mask) => (first.why(kind, mask) ? otherwise.why(kind, mask) : undefined),
    layout: (layer, rows, chunk) => pick(layer, rows, chunk).layout(layer, rows, chunk),
  })
}
