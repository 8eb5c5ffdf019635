import type { CacheManager } from '@attune/cache'
import type { Storage } from '@attune/tensor'

/** How a runner keeps the past and cuts its steps. */
export interface RunnerOptions {
  /** How the past is kept. Default: a ring where a layer's mask allows it, else contiguous. */
  readonly cache?: CacheManager
  /** Element type of keys and values. */
  readonly kv?: Storage
  /** Most tokens of one step; longer inputs are fed in pieces. */
  readonly chunk?: number
  /** Bytes kept of sequences' beginnings for later sequences that begin alike (see `begin`); 0 by default. */
  readonly prefixBytes?: number
  /** Runs steps op by op and throws `ERR_NAN` that names the first op which gives NaN. Slow. */
  readonly check?: boolean
}

/** A sequence being processed: a batch row and how many rows it holds. */
export interface Sequence {
  readonly row: number
  /** Tokens so far. */
  rows: number
  /** Position of the next token. */
  position: number
}

export interface StepWork {
  readonly sequence: Sequence
  /** −1 stands for the token drawn in the step before. */
  readonly ids: ArrayLike<number>
  /** Positions of the tokens; consecutive from the sequence's own by default. */
  readonly positions?: ArrayLike<number>
  /** Length the whole request will reach, for position scalings that depend on it. */
  readonly span?: number
}

export interface StepOptions {
  readonly inputs?: Readonly<Record<string, ArrayBufferView>>
  readonly signal?: AbortSignal
  /** Lets the cache's policy see this step's attention. */
  readonly observe?: boolean
}
