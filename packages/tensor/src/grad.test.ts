import { poisoned } from '@attune/testing'
import { describe, expect, it } from 'vitest'
import {
  type Dim,
  gatherRows,
  grad,
  input,
  length,
  mapWith,
  matmulOf,
  type Op,
  readAll,
  reference,
  sum,
  type Tensor,
  tensor,
} from './index.ts'
import { call1 } from './tensor.ts'

const device = poisoned(reference())
const total = (t: Tensor): Tensor => (t.rank === 0 ? t : total(sum(t)))

describe('grad', () => {
  it('counts every path, also through a tensor that is asked for itself', async () => {
    const x = tensor([2, -3])
    const y = mapWith(a => a.mul(a), [x])
    const z = total(mapWith((a, b) => a.mul(b), [y, x])) // x³
    const [dx, dy] = grad(z, [x, y])
    const got = await readAll({ dx, dy }, device)
    expect([...got.dx.data]).toEqual([12, 27])
    expect([...got.dy.data]).toEqual([2, -3])
  })
  it('goes through a composition whose inputs depend on each other', async () => {
    const product: Op<null> = {
      name: 'product',
      infer: ([a]) => [{ dtype: 'f32', shape: a.shape }],
      compose: ([a, b]) => [mapWith((p, q) => p.mul(q), [a, b])],
    }
    const x = tensor([2, -3])
    const y = mapWith(a => a.mul(a), [x])
    const [dx, dy] = grad(total(call1(product, [y, x], null)), [x, y])
    const got = await readAll({ dx, dy }, device)
    expect([...got.dx.data]).toEqual([12, 27])
    expect([...got.dy.data]).toEqual([2, -3])
  })
  it('is zero where nothing depends, one where the loss is asked for', async () => {
    const [x, y] = [tensor([2, 3]), tensor([1])]
    const loss = total(x)
    const [dx, dy, dl] = grad(loss, [x, y, loss])
    const got = await readAll({ dx, dy, dl }, device)
    expect([...got.dx.data, ...got.dy.data, ...got.dl.data]).toEqual([1, 1, 0, 1])
  })
  it('sees the values of a Length alone', async () => {
    const w = tensor([1, 2, 3, 4, 5, 6], [3, 2])
    const of = (n: Dim): Record<'dx' | 'dw', Tensor> => {
      const x = input('x', 'f32', [n, 3])
      const y = matmulOf(x.slice(1, 0, 2), w.slice(0, 1, 3))
      const rows = gatherRows(
        mapWith(a => a.tanh(), [y]),
        input('rows', 'i32', [n]),
      )
      const [dx, dw] = grad(total(mapWith((a, b) => a.mul(b), [rows, x.slice(1, 1, 3)])), [x, w])
      return { dx, dw }
    }
    const inputs = { x: Float32Array.from([1, -2, 0.5, 0.25, 3, -1]), rows: Int32Array.of(1, 1) }
    const got = await readAll(of(length('n', 5)), device, { lengths: { n: 2 }, inputs })
    const want = await readAll(of(2), device, { inputs })
    expect(got.dx.data).toEqual(want.dx.data)
    expect(got.dw.data).toEqual(want.dw.data)
  })
})
