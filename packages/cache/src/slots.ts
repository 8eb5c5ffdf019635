import type { About, StateKind } from '@attune/attention'
import type { Expr } from '@attune/expr'
import type { LayerStates } from './keeper.ts'
import type { CacheManager } from './manager.ts'
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
  return { ...parts, open: options => new SlotKeeper(parts.layout, options) }
}
