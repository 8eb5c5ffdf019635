import { layerNorm, rmsNorm, softmax } from '@attune/ops'
import { type Kernel, length, q8_0, type Reduction } from '@attune/tensor'
import { expect, it } from 'vitest'
import { expectReference, f32s, i32s, integers, numbers, onEveryBuild, stored } from '../../test/against-reference.ts'
import { type PlanInput, runPlan } from '../../test/run-plan.ts'
import { layerNormKernel, rmsNormKernel, softmaxKernel } from './norm.ts'
import { randomKernel } from './random.ts'
import { reduceKernel } from './reduce.ts'
import { topkKernel } from './topk.ts'

const tight = { relative: 1e-6 }

onEveryBuild(open => {
  it.each([0, 1, 63, 64, 65])('normalises %i rows', async rows => {
    const device = await open()
    const t = length('t', 70)
    const lengths = new Map([[t, rows]])
    for (const width of [1, 33, 64, 576]) {
      const x = { ...f32s([70, width], 3), shape: [t, width] }
      const [w, b] = [f32s([width], 4), f32s([width], 5)]
      await expectReference(device, rmsNormKernel as Kernel, { inputs: [x, w], attrs: { eps: 1e-5 }, lengths }, tight)
      await expectReference(device, layerNormKernel as Kernel, { inputs: [x, w], attrs: { eps: 1e-5 }, lengths }, tight)
      await expectReference(device, layerNormKernel as Kernel, { inputs: [x, w, b], attrs: { eps: 1e-12 }, lengths }, tight)
      await expectReference(device, softmaxKernel as Kernel, { inputs: [x], attrs: null, lengths }, tight)
    }
    const heads = { ...f32s([70, 3, 80], 3), shape: [3, t, 65], strides: [80, 240, 1], offset: 7 }
    for (const dtype of ['f16', 'bf16'] as const)
      await expectReference(
        device,
        rmsNormKernel as Kernel,
        { inputs: [heads, await stored(dtype, [65], numbers(65))], attrs: { eps: 1e-6 }, lengths },
        tight,
      )
    await expectReference(device, softmaxKernel as Kernel, { inputs: [heads], attrs: null, lengths }, tight)
  })
  it('softens masked rows to zeros and the finite mask value to numbers', async () => {
    const device = await open()
    const low = -3.4e38
    const data = Float32Array.of(-Infinity, -Infinity, -Infinity, low, low, low, low, 0, -Infinity, 1000, 999, -1000)
    const [out] = await runPlan(device, softmaxKernel as Kernel, { inputs: [{ dtype: 'f32', shape: [4, 3], data }], attrs: null })
    expect([...out.data.slice(0, 3)]).toEqual([0, 0, 0])
    for (const x of out.data.slice(3, 6)) expect(x).toBeCloseTo(1 / 3, 6)
    expect([...out.data.slice(6, 9)]).toEqual([0, 1, 0])
    await expectReference(device, softmaxKernel as Kernel, { inputs: [{ dtype: 'f32', shape: [4, 3], data }], attrs: null }, tight)
  })
  it('softens rows whose width is a Length', async () => {
    const device = await open()
    const [t, s] = [length('t', 3), length('s', 100)]
    for (const n of [0, 1, 65, 100])
      await expectReference(
        device,
        softmaxKernel as Kernel,
        {
          inputs: [{ ...f32s([3, 100]), shape: [t, s] }],
          attrs: null,
          lengths: new Map([
            [t, 2],
            [s, n],
          ]),
        },
        tight,
      )
  })
  it('gives the same bits whatever stands beside a row', async () => {
    const device = await open()
    const data = numbers(64 * 100, 9)
    const w = f32s([100], 2)
    for (const [kernel, extra, attrs] of [
      [rmsNormKernel, [w], { eps: 1e-5 }],
      [layerNormKernel, [w], { eps: 1e-5 }],
      [softmaxKernel, [], null],
    ] as [Kernel, PlanInput[], unknown][]) {
      const [all] = await runPlan(device, kernel, { inputs: [{ dtype: 'f32', shape: [64, 100], data }, ...extra], attrs })
      for (const row of [0, 41, 63]) {
        const slice = { dtype: 'f32' as const, shape: [1, 100], data: data.slice(row * 100, row * 100 + 100) }
        const [one] = await runPlan(device, kernel, { inputs: [slice, ...extra], attrs })
        expect(one.data).toEqual(all.data.slice(row * 100, row * 100 + 100))
      }
    }
  })
  it.each(['sum', 'max', 'min'] as Reduction[])('reduces any axis by %s', async by => {
    const device = await open()
    const t = length('t', 70)
    const x = { ...f32s([70, 9, 65], 6), shape: [t, 9, 65] }
    for (const rows of [0, 1, 63, 70])
      for (const axis of [0, 1, 2])
        for (const keep of [false, true])
          await expectReference(device, reduceKernel, { inputs: [x], attrs: { by, axis, keep }, lengths: new Map([[t, rows]]) }, tight)
    const across = { ...f32s([9, 65, 300], 6), shape: [300, 65, 5], strides: [1, 300, 2 * 65 * 300 - 1], offset: 300 }
    for (const axis of [0, 1])
      await expectReference(device, reduceKernel, { inputs: [{ ...across, shape: [200, 64, 1] }], attrs: { by, axis, keep: false } }, tight)
    const whole = i32s(
      [6, 50],
      integers(300, 1000).map(v => v - 500),
    )
    for (const axis of [0, 1]) await expectReference(device, reduceKernel, { inputs: [whole], attrs: { by, axis, keep: false } })
    for (const dtype of ['f16', 'bf16', 'u8', 'bool', q8_0] as const)
      await expectReference(
        device,
        reduceKernel,
        { inputs: [await stored(dtype, [6, 64], numbers(384, 1, 100).map(Math.abs))], attrs: { by, axis: 1, keep: true } },
        tight,
      )
    await expectReference(
      device,
      reduceKernel,
      { inputs: [await stored('f16', [6, 64], numbers(384))], attrs: { by, axis: 0, keep: true } },
      tight,
    )
  })
  it('sums long rows as exactly as f32 can say', async () => {
    const n = 200_001
    const data = numbers(n, 3, 1).map(x => x + 1)
    const [out] = await runPlan(await open(), reduceKernel, {
      inputs: [{ dtype: 'f32', shape: [n], data }],
      attrs: { by: 'sum', axis: 0, keep: false },
    })
    const exact = data.reduce((a: number, b) => a + b, 0)
    expect(Math.abs(out.data[0] - exact) / exact).toBeLessThan(2e-7)
  })
  it('carries NaN through a maximum', async () => {
    const data = numbers(67)
    data[13] = Number.NaN
    for (const shape of [[67], [67, 1]])
      for (const by of ['max', 'min', 'sum'] as const) {
        const [out] = await runPlan(await open(), reduceKernel, {
          inputs: [{ dtype: 'f32', shape, data }],
          attrs: { by, axis: 0, keep: false },
        })
        expect(out.data[0]).toBeNaN()
      }
  })
  it('picks the k largest, ties by index', async () => {
    const device = await open()
    const t = length('t', 5)
    for (const [width, k] of [
      [1, 1],
      [64, 1],
      [65, 8],
      [300, 64],
      [300, 300],
      [2000, 40],
    ]) {
      const x = { ...f32s([5, width], 7), shape: [t, width] }
      const coarse = { ...x, data: (x.data as Float32Array).map(v => Math.round(v * 4)) }
      for (const rows of [0, 1, 5])
        for (const input of [x, coarse])
          await expectReference(device, topkKernel, { inputs: [input], attrs: { k }, lengths: new Map([[t, rows]]) })
    }
    const data = Float32Array.of(1, Number.NaN, 3, -Infinity, 3, Number.NaN)
    await expectReference(device, topkKernel, { inputs: [{ dtype: 'f32', shape: [6], data }], attrs: { k: 6 } })
    await expectReference(device, topkKernel, { inputs: [{ ...f32s([9, 40]), shape: [40, 9], strides: [1, 40] }], attrs: { k: 3 } })
    const s = length('s', 20)
    for (const n of [0, 2, 20])
      await expectReference(device, topkKernel, {
        inputs: [{ ...f32s([3, 20]), shape: [3, s] }],
        attrs: { k: 4 },
        lengths: new Map([[s, n]]),
      })
  })
  it('draws the numbers of Philox', async () => {
    const device = await open()
    const key = i32s([2], [0, 0])
    const [zero] = await runPlan(device, randomKernel as Kernel, { inputs: [key], attrs: { shape: [4] } })
    const words = [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] // Random123's known answers
    expect([...zero.data]).toEqual(words.map(w => (w >>> 8) / 2 ** 24))
    const t = length('t', 9)
    for (const key of [i32s([2], [1, -5]), i32s([2], [0x7fffffff, -1])])
      for (const shape of [[1], [3], [65], [7, 11], [20_001], [t, 13]])
        await expectReference(device, randomKernel as Kernel, { inputs: [key], attrs: { shape }, lengths: new Map([[t, 5]]) })
  })
})

it('names the op each kernel stands for', () => {
  expect([rmsNormKernel.op, layerNormKernel.op, softmaxKernel.op]).toEqual([rmsNorm, layerNorm, softmax])
})
