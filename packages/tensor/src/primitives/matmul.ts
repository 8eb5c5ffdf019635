import { AttuneError } from '@attune/expr'
import type { Op } from '../op.ts'
import { broadcast, product, sameDim, showShape } from '../shape.ts'
import { call1, type Tensor } from '../tensor.ts'
import { denseSteps } from './map.ts'
import { sumTo } from './sum-to.ts'

/** Batched matrix product: (…, M, K) × (…, K, N) → (…, M, N) in f32; leading axes broadcast. */
export const matmul: Op<null> = {
  name: 'matmul',
  infer([a, b]) {
    if (a.shape.length < 2 || b.shape.length < 2 || !sameDim(a.shape.at(-1)!, b.shape.at(-2)!))
      throw new AttuneError('ERR_SHAPE', `matmul of ${showShape(a.shape)} and ${showShape(b.shape)}`, {
        a: showShape(a.shape),
        b: showShape(b.shape),
      })
    return [{ dtype: 'f32', shape: [...broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)), a.shape.at(-2)!, b.shape.at(-1)!] }]
  },
  loops([a, b], _attrs, [out]) {
    const [m, n] = out.shape.slice(-2)
    const k = a.shape.at(-1)!
    const lead = out.shape.slice(0, -2)
    const sa = denseSteps(a.shape.slice(0, -2), lead.length)
    const sb = denseSteps(b.shape.slice(0, -2), lead.length)
    const data = new Float32Array(product(out.shape))
    const index = new Array<number>(lead.length).fill(0)
    for (let batch = 0; batch < product(lead); batch++) {
      const at = (s: number[]) => index.reduce((t, x, i) => t + x * s[i], 0)
      const oa = at(sa) * m * k
      const ob = at(sb) * k * n
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let acc = 0
          for (let x = 0; x < k; x++) acc += a.data[oa + i * k + x] * b.data[ob + x * n + j]
          data[(batch * m + i) * n + j] = acc
        }
      for (let x = lead.length - 1; x >= 0 && ++index[x] === lead[x]; x--) index[x] = 0
    }
    return [data]
  },
  vjp([a, b], _out, [grad]) {
    if (!grad) return [undefined, undefined]
    return [sumTo(mm(grad, b.transpose()), a.shape), sumTo(mm(a.transpose(), grad), b.shape)]
  },
}
const mm = (a: Tensor, b: Tensor): Tensor => call1(matmul, [a, b], null)

export { mm as matmulOf }
