import type { Expr } from '@attune/expr'
import { describe, it } from 'vitest'
import { expectGradients, noise } from '../../test/gradient.ts'
import { copyOf, gatherRows, mapWith, matmulOf, reduceTo, scatterRows, sum, type Tensor, tensor, topkOf } from '../index.ts'

const positive = (n: number): { shape: number[]; data: Float32Array } => ({ shape: [n], data: noise([n], 3).map(x => x / 2 + 1) })

describe('gradients of the primitives', () => {
  const unary: [string, (x: Expr) => Expr][] = [
    ['exp', x => x.exp()],
    ['log', x => x.log()],
    ['tanh', x => x.tanh()],
    ['sin', x => x.sin()],
    ['cos', x => x.cos()],
    ['sqrt', x => x.sqrt()],
    ['rsqrt', x => x.rsqrt()],
    ['sigmoid', x => x.sigmoid()],
    ['erf', x => x.erf()],
    ['pow', x => x.pow(2.5)],
    ['abs', x => x.sub(1.003).abs()],
    ['max', x => x.max(1.003)],
    ['select', x => x.gt(1.003).select(x.mul(x), x.neg())],
    ['div', x => x.add(1).div(x.mul(x))],
  ]
  it.each(unary)('map: %s', (_name, f) => expectGradients({ inputs: [positive(9)], f: x => mapWith(f, [x]), step: 1 / 512 }))
  it('map: broadcasting sums over what was repeated', () =>
    expectGradients({
      inputs: [{ shape: [3, 1, 4] }, { shape: [2, 1] }, { shape: [] }],
      f: (a, b, c) => mapWith((x, y, z) => x.mul(y).add(z.mul(x)), [a, b, c]),
    }))
  it('map: the same value twice', () => expectGradients({ inputs: [{ shape: [5] }], f: x => mapWith((a, b) => a.mul(b), [x, x]) }))
  it('matmul, batched and broadcast', () =>
    expectGradients({ inputs: [{ shape: [2, 3, 4] }, { shape: [4, 5] }], f: (a, b) => matmulOf(a, b) }))
  it('matmul of transposed views', () =>
    expectGradients({ inputs: [{ shape: [4, 3] }, { shape: [5, 4] }], f: (a, b) => matmulOf(a.transpose(), b.transpose()) }))
  it.each(['sum', 'max', 'min'] as const)('reduce by %s', by =>
    expectGradients({ inputs: [{ shape: [3, 4, 5] }], f: x => reduceTo(reduceTo(x, by, 1, true), by, 0), step: 1 / 512 }),
  )
  it('gather: repeated and absent rows', () =>
    expectGradients({ inputs: [{ shape: [4, 3] }], f: x => gatherRows(x, tensor([2, 0, 2, -1, 3], [5], 'i32')) }))
  it('scatter: set replaces, add accumulates', async () => {
    const index = tensor([2, 0, -1], [3], 'i32')
    const twice = tensor([2, 2, 0], [3], 'i32')
    const whole = (x: Tensor): Tensor => mapWith(a => a.mul(2), [x])
    await expectGradients({ inputs: [{ shape: [4, 3] }, { shape: [3, 3] }], f: (x, r) => scatterRows(whole(x), index, r) })
    await expectGradients({ inputs: [{ shape: [4, 3] }, { shape: [3, 3] }], f: (x, r) => scatterRows(whole(x), twice, r, 'add') })
  })
  it('topk', () => expectGradients({ inputs: [{ shape: [2, 3, 7] }], f: x => topkOf(x, 3).values, step: 1 / 512 }))
  it('copy and views', () =>
    expectGradients({
      inputs: [{ shape: [4, 6] }],
      f: x => {
        const part = x.slice(1, 1, 5).transpose()
        return mapWith((a, b) => a.mul(b), [copyOf(part), x.slice(0, 1, 2).squeeze(0).slice(0, 0, 4).unsqueeze(1).expand([4, 4])])
      },
    }))
  it('reshape and permute', () =>
    expectGradients({ inputs: [{ shape: [4, 6] }], f: x => sum(x.reshape([4, 2, 3]).permute(2, 0, 1).slice(0, 1, 3), 1) }))
})
