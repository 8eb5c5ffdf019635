import type { Op } from '../op.ts'
import { axisOf, product } from '../shape.ts'
import { call1, type Tensor } from '../tensor.ts'
import { alloc, mapWith } from './map.ts'

export type Reduction = 'sum' | 'max' | 'min'
export interface ReduceAttrs {
  readonly by: Reduction
  readonly axis: number
  readonly keep: boolean
}

const START = { sum: 0, max: -Infinity, min: Infinity }
const STEP = { sum: (a: number, b: number) => a + b, max: Math.max, min: Math.min }

/** Reduces one axis. An empty axis gives 0 for sum, ∓Infinity for max and min. Sums accumulate in float64 in the reference. */
export const reduce: Op<ReduceAttrs> = {
  name: 'reduce',
  infer: ([x], { axis, keep }) => [
    {
      dtype: x.dtype === 'i32' ? 'i32' : 'f32',
      shape: keep ? x.shape.map((d, i) => (i === axis ? 1 : d)) : x.shape.filter((_, i) => i !== axis),
    },
  ],
  loops([x], { by, axis }, [out]) {
    const n = x.shape[axis]
    const inner = product(x.shape.slice(axis + 1))
    const data = alloc(out.dtype, product(out.shape))
    const step = STEP[by]
    for (let o = 0; o < data.length; o++) {
      const base = Math.floor(o / inner) * n * inner + (o % inner)
      let acc = START[by]
      for (let i = 0; i < n; i++) acc = step(acc, x.data[base + i * inner])
      data[o] = acc
    }
    return [data]
  },
  vjp([x], [y], [grad], { by, axis, keep }) {
    if (!grad || y.dtype === 'i32') return [undefined]
    const g = keep ? grad : grad.unsqueeze(axis)
    if (by === 'sum') return [g.expand(x.shape)]
    const best = keep ? y : y.unsqueeze(axis)
    // Ties share the gradient, as in PyTorch's amax.
    const hit = mapWith((a, b) => a.eq(b).select(1, 0).f32(), [x, best.expand(x.shape)])
    const count = reduceTo(hit, 'sum', axis, true)
    return [mapWith((h, gg, c) => h.mul(gg).div(c), [hit, g.expand(x.shape), count.expand(x.shape)])]
  },
}

export const reduceTo = (x: Tensor, by: Reduction, axis = -1, keep = false): Tensor =>
  call1(reduce, [x], { by, axis: axisOf(axis, x.rank), keep })
export const sum = (x: Tensor, axis = -1, keep = false): Tensor => reduceTo(x, 'sum', axis, keep)
export const max = (x: Tensor, axis = -1, keep = false): Tensor => reduceTo(x, 'max', axis, keep)
export const min = (x: Tensor, axis = -1, keep = false): Tensor => reduceTo(x, 'min', axis, keep)
