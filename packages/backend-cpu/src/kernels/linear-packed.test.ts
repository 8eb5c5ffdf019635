import { type Codec, type Dim, elements, length, matmul, q4_0, q4_1, q8_0, type Storage } from '@attune/tensor'
import { expect, test } from 'vitest'
import { instructionSets, openCpu } from '../../test/devices.ts'
import { dense, looped, nmse, noise, stored, written } from '../../test/reference.ts'
import { type PlanInput, runPlan } from '../../test/run-plan.ts'
import { linearPacked } from './linear-packed.ts'

const sets = await instructionSets()
const T = length('tokens', 96)
const B = length('batch', 4)
const some = (dtype: Storage, shape: readonly Dim[], seed: number): PlanInput => stored(dtype, shape, noise(elements(shape), seed))

/** What 16-bit activations make of x: the nearest multiple of max / 32258 in each block of 32. */
function rounded(x: Float32Array): Float32Array {
  return x.map((v, i) => {
    const block = x.subarray(i & ~31, (i & ~31) + 32)
    const most = block.reduce((m, y) => Math.max(m, Math.abs(y)), 0)
    const q = Math.fround(v * Math.fround(32258 / most))
    const even = Math.abs(q % 1) === 0.5 ? 2 * Math.round(q / 2) : Math.round(q)
    return most === 0 ? 0 : even * Math.fround(most / 32258)
  })
}
function expected([x, w, bias]: PlanInput[], lengths: ReadonlyMap<typeof T, number>, round = rounded): Float32Array {
  const [n, k] = w.shape as number[]
  const { data, shape } = dense(x, lengths)
  const rows: PlanInput = { dtype: 'f32', shape: [elements(shape.slice(0, -1)), k], data: round(data as Float32Array) }
  const out = looped(matmul, [rows, { dtype: 'f32', shape: [k, n], strides: [1, k], data: dense(w).data }], null)
  return bias ? out.map((v, i) => v + (bias.data as Float32Array)[i % n]) : out
}

for (const codec of [q4_0, q4_1, q8_0] as Codec[]) {
  test.each(sets)(`${codec.name} weights, $name`, async ({ options }) => {
    const device = await openCpu(options)
    const cases: PlanInput[][] = [
      [some('f32', [T, 96], 1), some(codec, [70, 96], 2), some('f32', [70], 3)],
      [some('f32', [T, 576], 1), some(codec, [35, 576], 2)],
      [some('f32', [B, T, 64], 1), some(codec, [16, 64], 2)], // rows of a batch that are not next to each other
      [some('f32', [B, 1, 32], 1), some(codec, [3, 32], 2), some('f32', [3], 3)],
      [some('f32', [64], 1), some(codec, [45, 64], 2)],
      [{ ...some('f32', [96 * 100], 1), shape: [T, 64], strides: [100, 1], offset: 7 }, { ...some(codec, [40 * 128], 2), shape: [33, 64], strides: [128, 1], offset: 128 + 32 }], // biome-ignore format: one case
    ]
    for (const inputs of cases)
      for (const tokens of [0, 1, 2, 5, 63, 64, 65]) {
        const lengths = new Map([
          [T, tokens],
          [B, 3],
        ])
        const [out] = await runPlan(device, linearPacked, { inputs, attrs: null, lengths })
        const got = written(out, lengths)
        expect(nmse(got, expected(inputs, lengths))).toBeLessThan(1e-9)
        if (got.length > 500)
          expect(
            nmse(
              got,
              expected(inputs, lengths, x => x),
            ),
          ).toBeLessThan(1e-4)
      }
    await device.close()
  })

  test.each(sets)(`${codec.name}: a row alone equals the row in a batch, for every thread count, $name`, async ({ options }) => {
    const [k, n] = [576, 200]
    const one = await openCpu({ ...options, threads: 1 })
    const two = await openCpu({ ...options, threads: 2 })
    const x = some('f32', [T, k], 1)
    const w = some(codec, [n, k], 2)
    const run = async (device: typeof one, tokens: number, first = 0) => {
      const lengths = new Map([[T, tokens]])
      return written((await runPlan(device, linearPacked, { inputs: [{ ...x, offset: first * k }, w], attrs: null, lengths }))[0], lengths)
    }
    const all = await run(one, 64)
    expect(await run(two, 64)).toEqual(all)
    for (const count of [1, 2, 3, 5, 7, 33]) expect(await run(two, count, 20)).toEqual(all.slice(20 * n, (20 + count) * n))
    await one.close()
    await two.close()
  })
}

test.each(sets)('what is not finite stays so, zeros stay zero, $name', async ({ options }) => {
  const device = await openCpu(options)
  const data = new Float32Array(5 * 64)
  data[64 + 40] = Number.NaN
  data[2 * 64 + 3] = Number.POSITIVE_INFINITY
  data[3 * 64 + 5] = 1e-40
  data[4 * 64 + 63] = 1e30
  const inputs = [{ dtype: 'f32' as const, shape: [5, 64], data }, some(q8_0, [20, 64], 2)]
  const [out] = await runPlan(device, linearPacked, { inputs, attrs: null })
  const row = (i: number) => [...(out.data as Float32Array).subarray(20 * i, 20 * i + 20)]
  expect(row(0).every(v => v === 0)).toBe(true)
  expect(row(1).every(Number.isNaN)).toBe(true)
  expect(row(2).every(v => !Number.isFinite(v))).toBe(true)
  expect(row(3).every(v => v === 0)).toBe(true)
  expect(row(4).every(v => Number.isFinite(v) && v !== 0)).toBe(true)
  await device.close()
})

test('refusals of packed weights say why', () => {
  const x = { dtype: 'f32' as Storage, shape: [4, 64], strides: [64, 1], contiguous: true }
  const w = { dtype: q4_0 as Storage, shape: [8, 64], strides: [64, 1], contiguous: true }
  const why = (...inputs: (typeof x)[]) =>
    linearPacked.why({ inputs, outputs: [{ dtype: 'f32', shape: [4, 8] }], attrs: null }, undefined as never)
  expect(why(x, w)).toBe(undefined)
  expect(why({ ...x, dtype: 'f16' }, w)).toBe('the activations are f16; this kernel reads f32')
  expect(why(x, { ...w, dtype: 'f32' })).toBe('the weight is f32; this kernel reads q4_0, q4_1, q8_0')
  expect(why({ ...x, strides: [1, 4] }, w)).toBe('the rows of the activations are not dense')
  expect(why(x, { ...w, strides: [1, 8] })).toBe('the rows of the weight are not whole blocks')
})
