import { length, q4_0, q8_0, type Storage } from '@attune/tensor'
import { expect, it } from 'vitest'
import { expectReference, f32s, i32s, integers, numbers, onEveryBuild, stored } from '../../test/against-reference.ts'
import { runPlan } from '../../test/run-plan.ts'
import { expertsKernel } from './experts.ts'

const names = ['x', 'weight', 'routes', 'bias'] as const
const close = { relative: 1e-6 }
const routesOf = (tokens: number, k: number, experts: number) =>
  i32s(
    [tokens, k],
    integers(tokens * k, experts + 1, 5).map(e => e - 1),
  ) // −1: none

onEveryBuild(open => {
  it.each([0, 1, 2, 63, 64, 65])('takes %i tokens to their experts', async tokens => {
    const device = await open()
    const n = length('n', 70)
    for (const [k, experts, out, width] of [
      [1, 1, 1, 1],
      [2, 5, 11, 33],
      [3, 200, 5, 64],
    ]) {
      const lengths = new Map([[n, tokens]])
      const routes = { ...routesOf(70, k, experts), shape: [n, k] }
      const weight = f32s([experts, out, width], 2)
      const bias = f32s([experts, out], 3)
      const perToken = { ...f32s([70, width]), shape: [n, width] }
      const perRoute = { ...f32s([70, k, width], 4), shape: [n, k, width] }
      await expectReference(device, expertsKernel, { inputs: [perToken, weight, routes, bias], attrs: { names }, lengths }, close)
      await expectReference(
        device,
        expertsKernel,
        { inputs: [perRoute, weight, routes], attrs: { names: names.slice(0, 3) }, lengths },
        close,
      )
    }
  })
  it('takes halves, packed weights and strided views', async () => {
    const device = await open()
    for (const dtype of ['f16', 'bf16', q8_0, q4_0] as Storage[]) {
      const weight = await stored(dtype, [4, 6, 64], numbers(4 * 6 * 64, 2))
      const x = { ...f32s([9, 70]), shape: [9, 64], strides: [70, 1], offset: 5 }
      const routes = { ...i32s([2, 9], integers(18, 4)), shape: [9, 2], strides: [1, 9] }
      const half = { ...weight, shape: [4, 3, 64], strides: [6 * 64, 64, 1] }
      for (const w of [weight, half])
        await expectReference(device, expertsKernel, { inputs: [x, w, routes], attrs: { names: names.slice(0, 3) } }, close)
    }
  })
  it('gives a token the same alone and in a batch', async () => {
    const device = await open()
    const n = length('n', 40)
    const [k, width, out] = [2, 50, 9]
    const weight = f32s([4, out, width], 2)
    const [xs, picks] = [numbers(40 * width), integers(40 * k, 4)]
    const run = async (from: number, count: number) => {
      const x = { ...f32s([40, width]), data: xs, shape: [n, width], strides: [width, 1], offset: from * width }
      const routes = { ...i32s([40, k], picks), shape: [n, k], strides: [k, 1], offset: from * k }
      const test = { inputs: [x, weight, routes], attrs: { names: names.slice(0, 3) }, lengths: new Map([[n, count]]) }
      const [result] = await runPlan(device, expertsKernel, test)
      return [...(result.data as Float32Array).subarray(0, count * k * out)]
    }
    const all = await run(0, 40)
    for (const count of [1, 2, 3]) expect(await run(20, count)).toEqual(all.slice(20 * k * out, (20 + count) * k * out))
  })
})
