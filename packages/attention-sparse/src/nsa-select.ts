import type { Past } from '@attune/attention'
import { table, variable } from '@attune/expr'
import { mapExpr, mapWith, matmulOf, max, sum, type Tensor } from '@attune/tensor'
import { pooledProducts } from './block-lists.ts'

/** Blocks of `size` rows, `stride` rows from one to the next. */
interface Strided {
  readonly size: number
  readonly stride: number
}

/**
 * Softmax weights of compressed blocks that end at or before each token, summed over the query heads of a group: (N, groups, M). Query
 * heads of a group follow each other.
 */
export function compressedWeights(q: Tensor, past: Past, part: string, heads: readonly number[], { size, stride }: Strided): Tensor {
  const [n, h, d] = q.shape
  const products = pooledProducts(q, past, part, heads) // (N, H, M)
  const row = table(past.tokens.row, { dtype: 'i32', rank: 1 }).at(variable('i0', 'i32'))
  const whole = variable('i2', 'i32')
    .mul(stride)
    .add(size - 1)
    .le(row)
  const scores = mapExpr(whole.select(variable('x0', 'f32').mul((d as number) ** -0.5), -3e38), [products], { dtype: 'f32' })
  const raised = mapWith((s, top) => s.lt(-1e38).select(0, s.sub(top).exp()), [scores, max(scores, 2, true)], { dtype: 'f32' })
  const weights = mapWith((e, total) => e.div(total.max(1e-37)), [raised, sum(raised, 2, true)])
  const groups = new Set(heads).size
  return sum(weights.reshape([n, groups, (h as number) / groups, weights.shape[2]]), 2)
}

/** What `count` blocks of `block` rows are worth: the weight of each compressed block, once for every stride that lies in both. (N, groups, count) */
export function sharedStrides(weights: Tensor, { size, stride }: Strided, block: number, count: number): Tensor {
  const [i, j] = [variable('i0', 'i32'), variable('i1', 'i32')]
  const begin = i.mul(stride)
  const end = begin.add(size).min(j.add(1).mul(block))
  const shared = end
    .sub(begin.max(j.mul(block)))
    .max(0)
    .idiv(stride)
  return matmulOf(weights, mapExpr(shared.f32(), [], { dtype: 'f32', shape: [weights.shape[2], count] }))
}
