import { AttuneError, variable } from '@attune/expr'
import type { Op } from '../op.ts'
import { type Dim, product } from '../shape.ts'
import { call, type Tensor } from '../tensor.ts'
import { mapWith } from './map.ts'
import { reduceTo } from './reduce.ts'

/** The k largest along the last axis, descending, ties by lower index: values f32 (…, k) and indices i32 (…, k). NaN counts as −∞. */
export const topk: Op<{ k: number }> = {
  name: 'topk',
  infer([x], { k }) {
    const n = x.shape.at(-1)
    if (!Number.isInteger(k) || k < 1 || (typeof n === 'number' && k > n))
      throw new AttuneError('ERR_SHAPE', `topk of ${k} among ${String(n)}`, { k })
    const shape: Dim[] = [...x.shape.slice(0, -1), k]
    return [
      { dtype: 'f32', shape },
      { dtype: 'i32', shape },
    ]
  },
  // With fewer than k values (a Length) the rest is −∞ and −1.
  loops([x], { k }) {
    const n = x.shape.at(-1)!
    const rows = product(x.shape.slice(0, -1))
    const values = new Float32Array(rows * k).fill(-Infinity)
    const indices = new Int32Array(rows * k).fill(-1)
    for (let r = 0; r < rows; r++) {
      const at = (i: number): number => (Number.isNaN(x.data[r * n + i]) ? -Infinity : x.data[r * n + i])
      const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => (at(b) > at(a) ? 1 : at(b) < at(a) ? -1 : a - b))
      for (let j = 0; j < Math.min(k, n); j++) {
        values[r * k + j] = at(order[j])
        indices[r * k + j] = order[j]
      }
    }
    return [values, indices]
  },
  vjp([x], [, indices], [grad]) {
    if (!grad) return [undefined]
    const at = variable(`i${x.rank - 1}`, 'i32')
    const k = grad.shape.at(-1)!
    const spread = mapWith((g, i) => i.eq(at).select(g, 0), [grad.unsqueeze(-2), indices.unsqueeze(-2)], { shape: [...x.shape, k] })
    return [reduceTo(spread, 'sum')]
  },
}

export function topkOf(x: Tensor, k: number): { values: Tensor; indices: Tensor } {
  const [values, indices] = call(topk, [x], { k })
  return { values, indices }
}
