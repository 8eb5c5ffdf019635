import type { About, StateKind } from '@attune/attention'
import type { Expr } from '@attune/expr'
import { bytesOf } from '@attune/tensor'
import { type LayerStates, ownRows } from './keeper.ts'
import { bucket, type CacheManager, type CacheSize } from './manager.ts'
import { SlotKeeper } from './slot-keeper.ts'

/** Where rows of a part lie: the arithmetic of one manager for one capacity. */
export interface RowsLayout {
  /** Layers with equal keys share slots, lengths and row tables. */
  readonly key: string
  /** Slots per (batch row, head). */
  readonly capacity: number
  /** Slot of a sequence's row. */
  slot(row: number): number
  /** The same of a row known on the device. */
  find(row: Expr): Expr
  /** Slots in use once a sequence has `rows` rows. */
  length(rows: number): number
  /** True when slots are not in row order, so each slot's row is stored beside it. */
  readonly remembersRows: boolean
}

/** What a layout depends on. */
export type LayoutOf = Pick<LayerStates, 'spec' | 'mask'>

/** A manager whose rows lie where arithmetic says, the same for all heads. */
export interface SlotManager extends CacheManager {
  /** Layout that holds `rows` rows per sequence while steps bring up to `chunk` new rows of a sequence. */
  layout(layer: LayoutOf, rows: number, chunk: number): RowsLayout
}

export function slotManager(parts: {
  readonly name: string
  readonly about: About
  why(kind: StateKind, mask: Expr): string | undefined
  layout(layer: LayoutOf, rows: number, chunk: number): RowsLayout
}): SlotManager {
  const bytesFor = (layers: readonly LayerStates[], { kv, chunk, rows }: CacheSize): number =>
    layers.reduce((n, layer) => {
      const { capacity } = parts.layout(layer, Math.max(1, ...rows), chunk)
      const each = ownRows(layer.spec).reduce((m, [, { heads, width }]) => m + heads * bytesOf(kv, width), 0)
      return n + bucket(rows.length, 1) * capacity * each
    }, 0)
  return { ...parts, bytesFor, open: options => new SlotKeeper(parts.layout, options) }
}
