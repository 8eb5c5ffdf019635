import type { StateKind } from '@attune/attention'
import type { Expr } from '@attune/expr'

/** Where rows of a `rows` state lie: the arithmetic of one manager for one capacity. */
export interface RowsLayout {
  /** Layers with equal keys share slots, lengths and row tables. */
  readonly key: string
  /** Slots per (batch row, head). */
  readonly capacity: number
  /** Slot of a sequence's row. */
  slot(row: number): number
  /** Slots in use once a sequence has `rows` rows. */
  length(rows: number): number
  /** True when slots are not in row order, so each slot's row is stored beside it. */
  readonly remembersRows: boolean
}

/** Decides how a layer's past is kept. Managers see state kinds and masks, never variants. */
export interface CacheManager {
  readonly name: string
  /** Why it cannot hold this state exactly under this mask, or undefined. */
  why(kind: StateKind, mask: Expr): string | undefined
  /** Layout that holds `rows` rows per sequence while steps bring up to `chunk` new rows of a sequence. */
  layout(mask: Expr, rows: number, chunk: number): RowsLayout
}

/** Capacities are powers of two from 128 up, so that a growing sequence changes its recordings seldom. */
export function bucket(rows: number, least = 128): number {
  let n = least
  while (n < rows) n *= 2
  return n
}
