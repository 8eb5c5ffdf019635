import type { StepTokens } from '@attune/attention'
import { table, variable } from '@attune/expr'
import { capacity, dense, fill, gatherRows, mapExpr, mapWith, scatterRows, type Tensor } from '@attune/tensor'

/** Most tokens of a sequence that are worked on at once. */
const CHUNK = 64
const i32 = { dtype: 'i32', rank: 1 } as const
const [i0, i1] = ['i0', 'i1'].map(name => variable(name, 'i32'))

/** Some of a step's tokens, side by side for all batch rows: C of each, which follow each other. */
export interface Chunk {
  /** C */
  readonly size: number
  /** Row of each token (B, C) i32; −1 where there is none. */
  readonly rows: Tensor
  /** Position of each token (B, C) i32. */
  readonly positions: Tensor
  /** Of a value per token and head (N, heads, d), those of the chunk: (B, heads, C, d), zeros where there is no token. */
  of(x: Tensor): Tensor
}

/**
 * Goes through a step's tokens in order, C of each batch row at a time, and puts what `visit` makes of them, (B, heads, C, d), back in line:
 * (N, heads, d). A row's numbers do not depend on its companions.
 */
export function inChunks(tokens: StepTokens, [heads, d]: readonly [number, number], visit: (chunk: Chunk) => Tensor): Tensor {
  const { batchRows, offsets, count } = tokens
  const size = Math.min(CHUNK, capacity(count))
  let out = fill(0, [count, heads, d])
  for (let first = 0; first < capacity(count); first += size) {
    const starts = table(offsets, i32)
    const token = starts.at(i0).add(i1).add(first)
    const index = mapExpr(token.lt(starts.at(i0.add(1))).select(token, -1), [], { dtype: 'i32', shape: [batchRows, size] })
    const numbers = (t: Tensor): Tensor => mapWith((n, at) => at.lt(0).select(-1, n), [gatherRows(t, index), index], { dtype: 'i32' })
    const made = visit({
      size,
      rows: numbers(tokens.row),
      positions: numbers(tokens.position),
      of: x => dense(gatherRows(dense(x), index).permute(0, 2, 1, 3)),
    })
    out = scatterRows(out, index, dense(made.permute(0, 2, 1, 3)))
  }
  return out
}
