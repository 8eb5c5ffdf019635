import type { About, StateKind } from '@attune/attention'
import type { Expr } from '@attune/expr'
import type { Storage } from '@attune/tensor'
import type { Keeper, KeeperOptions, LayerStates } from './keeper.ts'
import type { EvictionPolicy } from './policy.ts'

/** Decides how the rows of a model's layers are kept. Managers see state kinds and masks, never variants. */
export interface CacheManager {
  readonly name: string
  /** What it was made with, as data. */
  readonly settings?: Readonly<Record<string, unknown>>
  readonly about: About
  /** Which decides what rows stay. */
  readonly policy?: EvictionPolicy
  /** Why it cannot hold this state exactly under this mask, or undefined. */
  why(kind: StateKind, mask: Expr): string | undefined
  /** Bytes allocated for the rows of sequences that only grew, exactly. */
  bytesFor?(layers: readonly LayerStates[], size: CacheSize): number
  /** Opens the bookkeeping and the memory of one runner. */
  open(options: KeeperOptions): Keeper
}

/** How much is kept. */
export interface CacheSize {
  readonly kv: Storage
  /** Most tokens of one step. */
  readonly chunk: number
  /** Rows of each sequence. */
  readonly rows: readonly number[]
}

/** Capacities are powers of two from 128 up, so that a growing sequence changes its recordings seldom. */
export function bucket(rows: number, least = 128): number {
  let n = least
  while (n < rows) n *= 2
  return n
}

/** Models run with it give the logits of transformers. */
export const ORACLE = 'transformers: logits of tiny checkpoints'
