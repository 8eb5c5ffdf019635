import type { Past } from '@attune/attention'
import { table, variable } from '@attune/expr'
import { capacity, copyOf, dense, gatherRows, mapExpr, matmulOf, sum, type Tensor, tensor, topkOf } from '@attune/tensor'

/** Which blocks each token reads, as `attend` takes it. */
export interface BlockLists {
  /** (N, lists, cap) i32 */
  readonly blocks: Tensor
  /** (N, lists) i32 */
  readonly blockCounts: Tensor
  /** Rows of a block. */
  readonly block: number
}
export interface PickOptions {
  /** Rows of a block. */
  readonly block: number
  /** Blocks a token reads: its own and the best of those whole before it. */
  readonly pick: number
  /** Of those, the first blocks of the sequence and the last ones before the own that are read whatever their scores. */
  readonly first?: number
  readonly near?: number
}

/** Above any score, below infinity: kernels may not have one. The own block is the last to be left out. */
const OWN = 3.3e38
const MUST = 3e38
const i0 = variable('i0', 'i32')
const i2 = variable('i2', 'i32')

/**
 * Lists of the best blocks: `scores` (N, lists, P) f32 of blocks by number, of which only those whole before a token's own block count.
 * Equal scores go to the earlier block.
 */
export function pickBlocks(scores: Tensor, past: Past, rows: string, { block, pick, first = 0, near = 0 }: PickOptions): BlockLists {
  const [n, lists, known] = scores.shape
  const all = Math.max(1, Math.ceil(slotsOf(past, rows) / block))
  const own = table(past.tokens.row, { dtype: 'i32', rank: 1 }).at(i0).idiv(block)
  const score = table(scores, { dtype: 'f32', rank: 3 }).at(i0, variable('i1', 'i32'), i2.min(capacity(known) - 1))
  const must = i2.lt(first).or(i2.ge(own.sub(near)))
  const ranked = mapExpr(i2.lt(own).select(must.select(MUST, score), i2.eq(own).select(OWN, -MUST)), [], {
    dtype: 'f32',
    shape: [n, lists, all],
  })
  const cap = Math.min(pick, all)
  const count = own.add(1).min(cap)
  return {
    blocks: topkOf(ranked, cap).indices,
    blockCounts: mapExpr(count, [], { dtype: 'i32', shape: [n, lists] }),
    block,
  }
}

/**
 * Products of queries (N, H, d) with a pooled part (B, heads, P, d) of their own sequences: (N, H, P) f32. Query head h reads pooled head
 * `heads[h]`. What belongs to blocks that are not there yet may be anything.
 */
export function pooledProducts(q: Tensor, past: Past, part: string, heads: readonly number[]): Tensor {
  const pooled = past.parts[part]
  const map = tensor(heads, [heads.length], 'i32')
  const perHead = gatherRows(dense(pooled.permute(1, 0, 2, 3)), map).permute(1, 0, 3, 2) // (B, H, d, P)
  const products = matmulOf(q.permute(1, 0, 2).unsqueeze(0), perHead) // (B, H, N, P)
  return copyOf(ownRows(products, past).permute(1, 0, 2))
}

/** Of values for every batch row (B, H, N, P), those of each token's own: (H, N, P). */
function ownRows(x: Tensor, { tokens }: Past): Tensor {
  if (tokens.batchRows === 1) return x.squeeze(0)
  const own = table(tokens.batch, { dtype: 'i32', rank: 1 }).at(i2).eq(i0)
  return sum(mapExpr(own.select(variable('x0', 'f32'), 0), [x], { dtype: 'f32' }), 0)
}

/** Slots per sequence of a part. */
export function slotsOf({ parts, pages }: Past, part: string): number {
  const tables = pages?.tables[part]
  return tables ? capacity(tables.shape[tables.rank - 1]) * pages!.size : capacity(parts[part].shape[2])
}
