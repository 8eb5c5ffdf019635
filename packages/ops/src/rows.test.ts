import { read, reference, tensor } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { expectGradients, noise } from '../../tensor/test/gradient.ts'
import { geluOf, geluTanhOf, layerNormOf, reluOf, rmsNormOf, siluOf, softCapOf, softmaxOf, swigluOf } from './index.ts'

const device = reference()
const values = async (t: Parameters<typeof read>[0]) => [...(await read(t, device)).data]
const near = (have: number[], want: number[]) => have.forEach((x, i) => void expect(x).toBeCloseTo(want[i], 5))

describe('norms', () => {
  const x = [1, -2, 3, 0.5, 4, -1]
  const w = [1, 2, -1]
  it('rmsNorm divides by the root of the mean square', async () => {
    const rows = [x.slice(0, 3), x.slice(3)]
    const want = rows.flatMap(r => r.map((v, i) => (v / Math.sqrt(r.reduce((a, b) => a + b * b, 0) / 3 + 1e-2)) * w[i]))
    near(await values(rmsNormOf(tensor(x, [2, 3]), tensor(w), 1e-2)), want)
  })
  it('layerNorm centres first, with or without a bias', async () => {
    const want = [x.slice(0, 3), x.slice(3)].flatMap(r => {
      const mean = r.reduce((a, b) => a + b, 0) / 3
      const variance = r.reduce((a, b) => a + (b - mean) ** 2, 0) / 3
      return r.map((v, i) => ((v - mean) / Math.sqrt(variance + 1e-2)) * w[i])
    })
    near(await values(layerNormOf(tensor(x, [2, 3]), tensor(w), undefined, 1e-2)), want)
    const shifted = want.map((v, i) => v + [5, 6, 7][i % 3])
    near(await values(layerNormOf(tensor(x, [2, 3]), tensor(w), tensor([5, 6, 7]), 1e-2)), shifted)
  })
  it('refuse a weight of another width', () => {
    expect(() => rmsNormOf(tensor(x, [2, 3]), tensor([1, 2]), 1e-5)).toThrow('rmsNorm of x (2, 3) with (2)')
  })
  it('have gradients', async () => {
    const inputs = [{ shape: [3, 5] }, { shape: [5] }, { shape: [5] }]
    await expectGradients({ inputs: inputs.slice(0, 2), f: (a, b) => rmsNormOf(a, b, 1e-2) })
    await expectGradients({ inputs, f: (a, b, c) => layerNormOf(a, b, c, 1e-2) })
  })
})

describe('softmax', () => {
  it('sums to one, gives zeros for a row of −∞, counts the finite mask value', async () => {
    const low = -3.4e38
    const got = await values(softmaxOf(tensor([1, 2, 3, -Infinity, -Infinity, -Infinity, low, low, low, low, 0, 800], [4, 3])))
    const e = [1, 2, 3].map(Math.exp)
    const total = e.reduce((a, b) => a + b)
    near(got, [...e.map(v => v / total), 0, 0, 0, 1 / 3, 1 / 3, 1 / 3, 0, 0, 1])
  })
  it('has a gradient', () => expectGradients({ inputs: [{ shape: [3, 6] }], f: softmaxOf }))
})

describe('activations', () => {
  const x = [-3, -1, -0.1, 0, 0.5, 2]
  it('are what PyTorch calls them', async () => {
    near(await values(siluOf(tensor(x))), [-0.142278, -0.268941, -0.0475021, 0, 0.31123, 1.761594])
    near(await values(geluOf(tensor(x))), [-0.00404964, -0.158655, -0.0460172, 0, 0.345731, 1.9545])
    near(await values(geluTanhOf(tensor(x))), [-0.00363752, -0.158808, -0.046017, 0, 0.345714, 1.954598])
    near(await values(reluOf(tensor(x))), [0, 0, 0, 0, 0.5, 2])
    near(await values(softCapOf(tensor([-1000, 10]), 30)), [-30, 30 * Math.tanh(1 / 3)])
    near(await values(swigluOf(tensor([2]), tensor([-3]))), [1.761594 * -3])
  })
  it('have gradients', async () => {
    const inputs = [{ shape: [8], data: noise([8], 5).map(v => v * 3) }]
    for (const f of [siluOf, geluOf, geluTanhOf, reluOf]) await expectGradients({ inputs, f })
    await expectGradients({ inputs, f: v => softCapOf(v, 2) })
    await expectGradients({ inputs: [...inputs, { shape: [8] }], f: swigluOf })
  })
})
