import { length, read, reference, type Tensor, tensor } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { expectGradients, noise } from '../../tensor/test/gradient.ts'
import { matmulExpertsOf } from './index.ts'

const device = reference()
const [tokens, perToken, experts, out, width] = [5, 2, 3, 4, 6]
const t = (shape: number[], seed: number): Tensor => tensor(noise(shape, seed), shape)
const picks = [0, 2, 2, 1, 1, -1, 0, 1, 2, 0]
const routes = tensor(picks, [tokens, perToken], 'i32')

/** The definition, in plain loops. */
function plain(x: Float32Array, w: Float32Array, bias?: Float32Array): number[] {
  const perRoute = x.length > tokens * width
  return picks.flatMap((e, r) =>
    Array.from({ length: out }, (_, o) => {
      if (e < 0) return 0
      let y = bias ? bias[e * out + o] : 0
      const row = perRoute ? r : Math.floor(r / perToken)
      for (let i = 0; i < width; i++) y += w[(e * out + o) * width + i] * x[row * width + i]
      return y
    }),
  )
}
const near = (have: ArrayLike<number>, want: number[]) => {
  expect(have.length).toBe(want.length)
  want.forEach((x, i) => void expect(have[i]).toBeCloseTo(x, 6))
}

describe('matmulExperts', () => {
  const weight = t([experts, out, width], 2)
  it('takes each token to its experts', async () => {
    const y = await read(matmulExpertsOf({ x: t([tokens, width], 1), weight, routes }), device)
    expect(y.shape).toEqual([tokens, perToken, out])
    near(y.data, plain(noise([tokens, width], 1), noise([experts, out, width], 2)))
  })
  it('takes a row per route, with a bias', async () => {
    const y = await read(matmulExpertsOf({ x: t([tokens, perToken, width], 1), weight, routes, bias: t([experts, out], 3) }), device)
    near(y.data, plain(noise([tokens, perToken, width], 1), noise([experts, out, width], 2), noise([experts, out], 3)))
  })
  it('runs with no token at all', async () => {
    const n = length('n', 4)
    const x = tensor(noise([4, width], 1), [4, width]).view([n, width], [width, 1])
    const none = tensor([0, 0, 0, 0], [4, 1], 'i32').view([n, 1], [1, 1])
    const y = await read(matmulExpertsOf({ x, weight, routes: none }), device, { lengths: { n: 0 } })
    expect(y.data.length).toBe(0)
  })
  it('has gradients', async () => {
    const inputs = [{ shape: [tokens, width] }, { shape: [experts, out, width] }, { shape: [experts, out] }]
    await expectGradients({ inputs, f: (x, w, bias) => matmulExpertsOf({ x, weight: w, routes, bias }) })
    await expectGradients({ inputs: [{ shape: [tokens, perToken, width] }], f: x => matmulExpertsOf({ x, weight, routes }) })
  })
  it('refuses operands that do not fit', () => {
    expect(() => matmulExpertsOf({ x: t([tokens, width + 1], 1), weight, routes })).toThrow(
      'matmulExperts of x (5, 7) with weight (3, 4, 6) and routes (5, 2)',
    )
    expect(() => matmulExpertsOf({ x: t([tokens, width], 1), weight, routes: t([tokens, perToken], 1) })).toThrow('routes must be i32')
  })
})
