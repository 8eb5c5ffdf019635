import type { Dim, Tensor } from '@attune/tensor'

/** One row per token: `heads` vectors of `width` numbers. */
export interface RowsKind {
  readonly kind: 'rows'
  readonly heads: number
  readonly width: number
}
/** What a variant remembers of past tokens. */
export type StateKind = RowsKind
export type StateSpec = Readonly<Record<string, StateKind>>

export const rows = (heads: number, width: number): RowsKind => ({ kind: 'rows', heads, width })

/** Numbers a state holds per token, over all its parts: heads × width. */
export const numbersPerToken = (spec: StateSpec): number => Object.values(spec).reduce((n, s) => n + s.heads * s.width, 0)

/** Tokens of one step as graph values: N tokens, flat, sorted by batch row. */
export interface StepTokens {
  /** N */
  readonly count: Dim
  /** B */
  readonly batchRows: number
  /** Batch row of each token (N) i32 */
  readonly batch: Tensor
  /** Row in its sequence of each token (N) i32 */
  readonly row: Tensor
  /** Position of each token (N) i32 */
  readonly position: Tensor
  /** First token of each batch row (B + 1) i32 */
  readonly offsets: Tensor
}

/** Rows a query can attend to after an append. */
export interface Past {
  /** Stored parts by name, (B, heads, S, width). */
  readonly parts: Readonly<Record<string, Tensor>>
  /** Slots in use per part, (B, heads) i32. */
  readonly lengths: Readonly<Record<string, Tensor>>
  /** Row of each slot per part, (B, heads, S) i32, when slots are not in row order. */
  readonly rows?: Readonly<Record<string, Tensor>>
  readonly tokens: StepTokens
}

/** A layer's state during one step. */
export interface StateView {
  /** Adds this step's rows, each (N, heads, width), and returns all that is remembered. */
  append(values: Readonly<Record<string, Tensor>>): Past
}
