import type { About } from '@attune/attention'

/** What a policy sees of one layer of one sequence, per key head. */
export interface ObservedLayer {
  readonly heads: number
  /** Row of each slot in use, ascending. */
  readonly rows: readonly Int32Array[]
  /** Weight each slot received, when asked for: summed over the observed queries and the query heads that read the head. */
  readonly mass?: readonly Float32Array[]
  /** The observed queries (n, query heads, d), oldest first, of all layers that read these rows, and the key head each query head reads. */
  readonly queries?: { readonly count: number; readonly width: number; readonly data: Float32Array; readonly keyHeads: readonly number[] }
  /** Stored rows (slots, width) per head of the parts asked for. */
  readonly parts?: Readonly<Record<string, readonly Float32Array[]>>
}
export interface Observed {
  /** Rows the sequence has had so far, evicted ones included. */
  readonly rows: number
  readonly layers: readonly ObservedLayer[]
}

/** How much may stay. */
export interface Budget {
  /** Rows per key head, on average over a layer; a number below 1 is a share of the rows the sequence has had. */
  readonly rows: number
}
/** Rows of a head that a budget allows: of the `length` there are, when the sequence has had `had`. */
export const allowed = ({ rows }: Budget, length: number, had = length): number => Math.min(length, rows < 1 ? Math.ceil(rows * had) : rows)

/** Slots to keep, ascending, per layer and key head; an absent layer or head keeps all. */
export type Kept = readonly (readonly (Int32Array | undefined)[] | undefined)[]

export interface Observes {
  /** Weights of slots under all queries so far, or under the last n of the prompt. */
  readonly mass?: 'all' | number
  /** The last n queries themselves. */
  readonly queries?: number
  /** Parts whose stored rows it reads. */
  readonly parts?: readonly string[]
}

/** Decides between steps which rows stay. Acts only on what was observed as data. */
export interface EvictionPolicy {
  readonly name: string
  readonly about: About
  readonly observes: Observes
  /** Acts once after the prompt (`prefill`), or also whenever n more rows have come. */
  readonly after: 'prefill' | number
  /** Rows that stay get consecutive positions from 0, and keys are turned to them. Every head must keep as many rows. */
  readonly rerotate?: boolean
  /** Runs the model some more before the plan, which is given what comes back. */
  readonly rehearse?: {
    readonly observes: Observes
    run(rehearsal: Rehearsal): Promise<unknown>
  }
  plan(observed: Observed, budget: Budget, rehearsed?: unknown): Kept
}

/** A prompt that was just read, and ordinary steps on copies of its sequence. */
export interface Rehearsal {
  readonly ids: readonly number[]
  /** Rows of the sequence before the prompt. */
  readonly from: number
  /** Feeds tokens to a copy of the sequence, shows what the rehearsal observes of it, and forgets the copy. */
  replay(ids: readonly number[]): Promise<Observed>
}
