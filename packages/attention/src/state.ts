import type { Expr } from '@attune/expr'
import type { Dim, Tensor } from '@attune/tensor'

/** In one piece (`Past.dense`), some rows by their number (`Past.at`), or as runs of slots in row order (block lists, neighbours). */
export type Reading = 'whole' | 'by number' | 'in order'

/** One row per token: `heads` vectors of `width` numbers. */
export interface RowsKind {
  readonly kind: 'rows'
  readonly heads: number
  readonly width: number
  /** `self`: a row per token of the sequence. `memory`: a row per token of an encoder input, written once, with a length of its own. */
  readonly axis: 'self' | 'memory'
  /** Old rows change in later steps, so a row is worth something only together with all rows after it. */
  readonly rewritten: boolean
  /** Rows that leave the mask's window are folded into another state, so every one must pass by. */
  readonly leaving: boolean
  /** How a variant reads it beside attending to all rows a mask shows: managers that cannot serve it say so when they are opened. */
  readonly reads: readonly Reading[]
  /** Numbers [at, at + dims) of a row carry the layer's rotary position; a manager that moves rows turns them. */
  readonly rotary?: { readonly at: number; readonly dims: number }
}
/** One row per block of another part: block j pools rows [j·stride, j·stride + size). */
export interface PoolKind {
  readonly kind: 'pool'
  readonly heads: number
  readonly width: number
  readonly size: number
  readonly stride: number
  /** The part of kind `rows` that is pooled. */
  readonly of: string
  /** A reduction, or a function of a block's rows (M, size, heads of `of`, width of `of`) → (M, heads, width) and the layer's parameters. */
  readonly by: 'mean' | 'max' | 'min' | ((rows: Tensor, params: any) => Tensor)
}
/** A tensor of fixed size per sequence, given anew each step; zeros at the start of a sequence. */
export interface FoldKind {
  readonly kind: 'fold'
  readonly shape: readonly number[]
}
/** The last `count` inputs of `width` numbers, oldest first; zeros before the start of a sequence. */
export interface TailKind {
  readonly kind: 'tail'
  readonly count: number
  readonly width: number
}
/** A part of an earlier layer: nothing of its own. */
export interface BorrowKind {
  readonly kind: 'borrow'
  readonly layer: number
  readonly name: string
}
/** What a variant remembers of past tokens: five kinds, closed. */
export type StateKind = RowsKind | PoolKind | FoldKind | TailKind | BorrowKind
export type StateSpec = Readonly<Record<string, StateKind>>

export interface RowsOptions {
  readonly axis?: 'self' | 'memory'
  readonly rewritten?: boolean
  readonly leaving?: boolean
  readonly reads?: readonly Reading[]
  /** Numbers of a row that turn with its position; `true`: all of them. */
  readonly rotary?: true | { readonly at: number; readonly dims: number }
}

/** A part with a row of `width` numbers per token and head, such as keys; it grows with its axis. */
export const rows = (
  heads: number,
  width: number,
  { axis = 'self', rewritten = false, leaving = false, reads = [], rotary }: RowsOptions = {},
): RowsKind => ({
  kind: 'rows',
  heads,
  width,
  axis,
  rewritten,
  leaving,
  reads,
  rotary: rotary === true ? { at: 0, dims: width } : rotary,
})
/** A part with a row per block of another part’s rows, such as compressed keys. */
export const pool = (heads: number, width: number, options: Pick<PoolKind, 'size' | 'stride' | 'of' | 'by'>): PoolKind => ({
  kind: 'pool',
  heads,
  width,
  ...options,
})
/** A part of fixed shape that every token is folded into, such as a recurrent state. */
export const fold = (...shape: number[]): FoldKind => ({ kind: 'fold', shape })
/** A part of the last `count` inputs of `width` numbers, such as those of a short convolution. */
export const tail = (count: number, width: number): TailKind => ({ kind: 'tail', count, width })
/** The part `name` of an earlier layer, read and not kept again. */
export const borrow = (layer: number, name: string): BorrowKind => ({ kind: 'borrow', layer, name })

export type KindOf<K extends StateKind['kind']> = Extract<StateKind, { kind: K }>
/** The parts of one kind, by name. */
export const partsOf = <K extends StateKind['kind']>(spec: StateSpec, kind: K): [string, KindOf<K>][] =>
  Object.entries(spec).filter((e): e is [string, KindOf<K>] => e[1].kind === kind)

/** Numbers a state gains per token, over all its parts. */
export const numbersPerToken = (spec: StateSpec): number =>
  Object.values(spec).reduce((n, s) => {
    if (s.kind === 'rows') return s.axis === 'self' ? n + s.heads * s.width : n
    return s.kind === 'pool' ? n + (s.heads * s.width) / s.stride : n
  }, 0)
/** Blocks of a pool whose rows are all there. */
export const wholeBlocks = ({ size, stride }: Pick<PoolKind, 'size' | 'stride'>, rows: number): number =>
  rows < size ? 0 : Math.floor((rows - size) / stride) + 1

/** Numbers a state holds per sequence whatever its length. */
export const numbersPerSequence = (spec: StateSpec): number =>
  Object.values(spec).reduce((n, s) => {
    if (s.kind === 'fold') return n + s.shape.reduce((a, b) => a * b, 1)
    return s.kind === 'tail' ? n + s.count * s.width : n
  }, 0)

/** Where an operation on a sequence's state leaves exactly what a fresh run would have. */
export type Exactly = 'anywhere' | { readonly multiplesOf: number } | 'at a snapshot' | 'never'
export interface KindRules {
  /** Forgetting the last rows. */
  readonly trim: Exactly
  /** Continuing a copy. */
  readonly fork: Exactly
  /** Several sequences reading the same bytes. */
  readonly share: Exactly
  /** Dropping rows of a head while the rest stays usable. */
  readonly evict: Exactly
  /** Keeping it in fewer bits. */
  readonly quantise: Exactly
}
/** What may be done with a kind of state. A borrowed part follows its owner. */
export function rulesOf(kind: Exclude<StateKind, BorrowKind>): KindRules {
  const whole: KindRules = { trim: 'at a snapshot', fork: 'anywhere', share: 'at a snapshot', evict: 'never', quantise: 'never' }
  if (kind.kind === 'fold' || kind.kind === 'tail') return whole
  if (kind.kind === 'pool') {
    const own = { multiplesOf: kind.stride }
    return { trim: 'anywhere', fork: 'anywhere', share: own, evict: 'never', quantise: 'never' }
  }
  if (kind.rewritten) return whole
  if (kind.axis === 'memory') return { trim: 'anywhere', fork: 'anywhere', share: 'anywhere', evict: 'never', quantise: 'anywhere' }
  if (kind.leaving) return { trim: 'anywhere', fork: 'anywhere', share: 'anywhere', evict: 'never', quantise: 'never' }
  return { trim: 'anywhere', fork: 'anywhere', share: 'anywhere', evict: 'anywhere', quantise: 'anywhere' }
}

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

/** Rows that are stored one way. */
export interface Segment {
  /** Stored parts by name: (B, heads, S, width), or with `pages` (pages, 1, page, width). */
  readonly parts: Readonly<Record<string, Tensor>>
  /** Slots in use per part, (B, heads) i32. */
  readonly lengths: Readonly<Record<string, Tensor>>
  /** Row of each slot per part, (B, heads, S) i32, when slots are not in row order. */
  readonly rows?: Readonly<Record<string, Tensor>>
  /** Position of each slot per part, (B, heads, S) i32, when it is not the row. */
  readonly positions?: Readonly<Record<string, Tensor>>
  /** Page table per part, (B, heads, P) i32, and slots in a page. */
  readonly pages?: { readonly tables: Readonly<Record<string, Tensor>>; readonly size: number }
  /** Which of its rows a query sees here, beside the layer's mask: where a row is stored in two ways, one of them. */
  readonly sees?: Expr
  /** A linear map that keys of a part went through when stored: queries (N, H, d) go through it too. `heads`: the key head each reads. */
  turn?(part: string, x: Tensor, heads: readonly number[]): Tensor
  /** The way back, for values. */
  turnBack?(part: string, x: Tensor): Tensor
}

/** Rows a query can attend to after an append. */
export interface Past extends Segment {
  readonly tokens: StepTokens
  /** Rows stored another way: attention over each is merged by its log-sum-exp. */
  readonly more?: readonly Segment[]
  /** Rows of a part by row number: batch (…I) i32, row (…I) i32 → (…I, heads, width) f32; a row below 0 gives zeros. */
  at(part: string, batch: Tensor, row: Tensor): Tensor
  /** All of a part in slot order, (B, heads, S, width), however it is stored; slots beyond the length hold anything finite. */
  dense(part: string): Tensor
  /** What a policy wants to see. `attend` answers. */
  readonly observing?: Observer
}

/** A policy's wish to see attention as it happens. */
export interface Observer {
  /** Each slot's weight is wanted. */
  readonly mass: boolean
  /** Takes the weight of each slot, (B, heads, S) f32, summed over this step's queries and the query heads that read it; where rows lie in several segments, of the first's slots. */
  takeMass(part: string, mass: Tensor): void
  /** Takes the queries (N, H, d), when they are wanted. */
  takeQueries?(part: string, q: Tensor, keyHeads: readonly number[]): void
}

/** A layer's state during one step. */
export interface StateView {
  /** The tokens of the step. */
  readonly tokens: StepTokens
  /** Adds this step's rows, each (N, heads, width), to the parts named, pools what is pooled, and returns all that is remembered. */
  append(values: Readonly<Record<string, Tensor>>): Past
  /** A fold (B, …shape) or tail (B, count, width) as the step finds it, zeros for sequences that begin. */
  read(name: string): Tensor
  /** Gives a fold or tail its new value; sequences without tokens in this step keep theirs. For rewritten rows: all of a part, (B, heads, S, width). */
  write(name: string, value: Tensor): void
  /** Rows of the memory axis, as `remember` stored them. */
  memory(): Past
}
