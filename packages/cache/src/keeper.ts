import { type Past, partsOf, type RowsKind, type StateSpec, type StepTokens } from '@attune/attention'
import type { Expr } from '@attune/expr'
import type { Device, DeviceBuffer, Storage, Tensor } from '@attune/tensor'
import type { Observed, Rehearsal } from './policy.ts'

/** A layer as a cache manager sees it. */
export interface LayerStates {
  readonly spec: StateSpec
  readonly mask: Expr
  /** The layer's score or mask reads positions, which may differ from rows. */
  readonly positions: boolean
  /** Inverse frequencies and pairing of the layer's rotary positions, for managers that move rows. */
  readonly rotary?: { readonly pairing: 'half' | 'interleaved'; readonly frequencies: Float32Array }
}

export interface KeeperOptions {
  readonly device: Device
  readonly layers: readonly LayerStates[]
  /** Element type of stored rows. */
  readonly kv: Storage
  /** Most tokens of one step. */
  readonly chunk: number
}

/** The new tokens of one sequence in a step. */
export interface StepItem {
  /** Batch row. */
  readonly row: number
  /** Rows before the step. */
  readonly before: number
  readonly count: number
}
/** A step as the host knows it, items sorted by batch row. `rows[b]`: rows of batch row b after the step, of idle rows too. */
export interface StepPlan {
  readonly batchRows: number
  /** Tokens the step's graph is built for. */
  readonly capacity: number
  readonly items: readonly StepItem[]
  readonly rows: Int32Array
}

/** Graph side of one layer's rows. */
export interface RowsView {
  /** Adds rows (N, heads, width) to each part. */
  append(values: Readonly<Record<string, Tensor>>): Past
  /** Rewrites all of a part, (B, heads, S, width), for sequences with tokens in this step. */
  rewrite(part: string, value: Tensor): void
}

/** Memory and bookkeeping of the rows of all layers of one runner. Graphs are built from it; equal keys give equal graphs. */
export interface Keeper {
  /** Names the shapes and layouts graphs are built with now. */
  readonly key: string
  /** Bytes allocated for rows (tables left out). */
  readonly bytes: number
  /** Buffers allocated so far. */
  readonly allocations: number
  /** Makes room for `batchRows` sequences and for `rows[b]` rows of each. What is stored stays. */
  reserve(batchRows: number, rows: ArrayLike<number>): Promise<void>
  /** Values of the inputs its graphs declare. */
  inputs(step: StepPlan): Readonly<Record<string, Int32Array>>
  /** Values of the Lengths its graphs declare. */
  lengths(): Readonly<Record<string, number>>
  /** State buffers its graphs declare, by name. */
  buffers(): Readonly<Record<string, DeviceBuffer>>
  /** Graph side of a step; `observe` asks attention for what a policy wants to see. */
  graph(tokens: StepTokens, effects: Tensor[], observe: boolean): (layer: number) => RowsView
  /** Forgets rows from `to` on. Errors: `ERR_UNSUPPORTED` where what the rest needs is gone. */
  trim(row: number, from: number, to: number): void
  /** Makes batch row `to` a copy of `from`. */
  fork(from: number, to: number): Promise<void>
  /** A batch row is free again. */
  close(row: number): void
  /** Which queries a policy wants to see: those of all steps, or the last n of a prompt. */
  readonly observes?: 'all' | number
  /** Lets a policy act between steps. Returns the position of the next token where positions moved. */
  settle?(
    row: number,
    after: 'prefill' | 'step',
    standing: { readonly rows: number; readonly position: number; readonly rehearsed?: unknown },
  ): Promise<{ readonly position?: number } | undefined>
  /** The policy's wish to run the model some more first, and what it then observes of a batch row with `rows` rows. */
  rehearse?(rehearsal: Rehearsal): Promise<unknown>
  observe?(row: number, rows: number): Promise<Observed>
  /** Bytes of each part of a saved sequence of `rows` rows. Without it nothing can be saved. Errors: `ERR_UNSUPPORTED`. */
  savedBytes?(rows: number): Readonly<Record<string, number>>
  /** Everything of a batch row with `rows` rows, and the way back into a fresh row that has room for them. */
  save?(row: number, rows: number): Promise<Readonly<Record<string, Uint8Array>>>
  load?(row: number, rows: number, saved: Readonly<Record<string, Uint8Array>>): Promise<void>
  /** Where sequences may share what they begin with; absent where they cannot. */
  readonly sharing?: Sharing
  /** Holds the first `rows` rows of a batch row under a holder's number, which is below 0. Returns bytes of its own, beside shared ones, or undefined where rows were evicted. */
  hold?(row: number, holder: number, rows: number): Promise<number | undefined>
  /** Lets a fresh batch row begin with what a holder holds. */
  adopt?(holder: number, row: number, rows: number): Promise<void>
  release?(holder: number): void
  /** Bytes that several sequences use, counted once. */
  readonly sharedBytes?: number
  dispose(): void
}

/** How beginnings of sequences may be shared. */
export interface Sharing {
  /** At multiples of so many rows. */
  readonly every: number
  /** Bytes of so many rows. */
  readonly bytes: number
  /** Only while the sequence has no more rows than are held. */
  readonly whole: boolean
}

/** The parts a keeper holds: rows of the sequence itself. */
export const ownRows = (spec: StateSpec): [string, RowsKind][] => partsOf(spec, 'rows').filter(([, kind]) => kind.axis === 'self')
