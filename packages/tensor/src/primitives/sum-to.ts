import { type Dim, sameShape } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { reduceTo } from './reduce.ts'

/** Undoes broadcasting: sums `t` over the axes that `shape` does not have or has with extent 1. */
export function sumTo(t: Tensor, shape: readonly Dim[]): Tensor {
  let out = t
  while (out.rank > shape.length) out = reduceTo(out, 'sum', 0)
  for (let a = 0; a < shape.length; a++) if (shape[a] === 1 && out.shape[a] !== 1) out = reduceTo(out, 'sum', a, true)
  if (!sameShape(out.shape, shape)) out = out.expand(shape)
  return out
}
