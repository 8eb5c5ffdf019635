import { type Dim, elements, length, matmul, rowMajor } from '@attune/tensor'
import { expect, test } from 'vitest'
import { instructionSets, openCpu } from '../../test/devices.ts'
import { looped, nmse, noise, stored, written } from '../../test/reference.ts'
import { type PlanInput, runPlan } from '../../test/run-plan.ts'
import { matmulDense } from './matmul.ts'

const sets = await instructionSets()
const T = length('tokens', 96)
const C = length('context', 160)
const lengthsOf = (tokens: number, context = 100) =>
  new Map([
    [T, tokens],
    [C, context],
  ])

/** A view whose last two axes lie the other way round. */
const transposed = (dtype: 'f32' | 'f16' | 'bf16', shape: readonly Dim[], seed: number): PlanInput => {
  const order = [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!]
  const strides = rowMajor(order)
  return { ...stored(dtype, shape, noise(elements(shape), seed)), strides: [...strides.slice(0, -2), strides.at(-1)!, strides.at(-2)!] }
}
const plain = (dtype: 'f32' | 'f16' | 'bf16', shape: readonly Dim[], seed: number): PlanInput =>
  stored(dtype, shape, noise(elements(shape), seed))

test.each(sets)('every size, both layouts of b, $name', async ({ options }) => {
  const device = await openCpu(options)
  for (const [
    m,
    k,
    n,
  ] of [[1, 64, 33], [2, 1, 1], [3, 7, 5], [5, 130, 16], [6, 3, 31], [7, 600, 49], [13, 9, 130], [65, 64, 65], [140, 321, 100]] as const) // biome-ignore format: a table
    for (const b of [plain('f32', [k, n], 2), transposed('f32', [k, n], 2), plain('f16', [k, n], 2), transposed('bf16', [k, n], 2)]) {
      const inputs = [plain('f32', [m, k], 1), b]
      const [out] = await runPlan(device, matmulDense, { inputs, attrs: null })
      expect(nmse(out.data as Float32Array, looped(matmul, inputs, null))).toBeLessThan(1e-10)
    }
  await device.close()
})

test.each(sets)('lengths, batches, views, broadcast axes, $name', async ({ options }) => {
  const device = await openCpu(options)
  const cases: PlanInput[][] = [
    [plain('f32', [2, 3, T, 8], 1), transposed('f32', [2, 1, 8, C], 2)], // scores: queries of 3 heads and a key head's rows
    [plain('f32', [2, 3, T, C], 1), plain('f32', [2, 1, C, 8], 2)], // values
    [plain('f32', [4, T, 17], 1), plain('f32', [17, 35], 2)], // a batch of rows not next to each other
    [plain('f32', [2, 1, T, 5], 1), plain('f32', [3, 5, 6], 2)],
    [transposed('f32', [T, 40], 1), transposed('f32', [40, 19], 2)], // rows of a not dense
    [{ ...plain('f32', [40 * 20], 1), shape: [8, 20], strides: [40, 2], offset: 5 }, { ...plain('f32', [30 * 20], 2), shape: [20, 11], strides: [30, 1], offset: 3 }], // biome-ignore format: a view per line
    [
      { ...plain('f32', [20], 1), shape: [T, 20], strides: [0, 1] },
      { ...plain('f32', [15], 2), shape: [20, 15], strides: [0, 1] },
    ],
  ]
  for (const inputs of cases)
    for (const tokens of [0, 1, 2, 63, 64, 65]) {
      const lengths = lengthsOf(tokens, tokens === 2 ? 0 : 90 + tokens)
      const [out] = await runPlan(device, matmulDense, { inputs, attrs: null, lengths })
      expect(nmse(written(out, lengths), looped(matmul, inputs, null, lengths))).toBeLessThan(1e-10)
    }
  await device.close()
})

test.each(sets)('a row alone equals the row in a batch, for every thread count, $name', async ({ options }) => {
  const [k, n] = [1100, 70]
  for (const b of [plain('f32', [k, n], 2), transposed('f32', [k, n], 2), transposed('f16', [k, n], 2)]) {
    const one = await openCpu({ ...options, threads: 1 })
    const two = await openCpu({ ...options, threads: 2 })
    const a = plain('f32', [T, k], 1)
    const run = async (device: typeof one, tokens: number, first = 0) => {
      const lengths = lengthsOf(tokens)
      return written((await runPlan(device, matmulDense, { inputs: [{ ...a, offset: first * k }, b], attrs: null, lengths }))[0], lengths)
    }
    const all = await run(one, 64)
    expect(await run(two, 64)).toEqual(all)
    for (const count of [1, 2, 3, 5, 7, 33]) expect(await run(two, count, 20)).toEqual(all.slice(20 * n, (20 + count) * n))
    await one.close()
    await two.close()
  }
})

test('refusals say why', () => {
  const view = (shape: number[], strides: number[], dtype: 'f32' | 'i32' = 'f32') => ({ dtype, shape, strides, contiguous: false })
  const out = [{ dtype: 'f32' as const, shape: [4, 6] }]
  const why = (a: ReturnType<typeof view>, b: ReturnType<typeof view>) =>
    matmulDense.why({ inputs: [a, b], outputs: out, attrs: null }, undefined as never)
  expect(why(view([4, 5], [5, 1]), view([5, 6], [12, 2]))).toBe(
    'the second operand has strides 2 and 12 along its columns and k; one of them must be 1',
  )
  expect(why(view([4, 5], [5, 1], 'i32'), view([5, 6], [6, 1]))).toBe('the first operand is i32; this kernel reads f32')
  expect(why(view([4, 5], [5, 1]), view([5, 6], [6, 1], 'i32'))).toBe('the second operand is i32; this kernel reads f32, f16 and bf16')
})
