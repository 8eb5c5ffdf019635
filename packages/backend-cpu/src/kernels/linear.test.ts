import { type Dim, elements, length, matmul, type Storage } from '@attune/tensor'
import { expect, test } from 'vitest'
import { instructionSets, openCpu } from '../../test/devices.ts'
import { dense, looped, nmse, noise, stored, written } from '../../test/reference.ts'
import { type PlanInput, runPlan } from '../../test/run-plan.ts'
import { linearDense } from './linear.ts'

const sets = await instructionSets()
const T = length('tokens', 96)
const B = length('batch', 4)
const some = (dtype: Storage, shape: readonly Dim[], seed: number): PlanInput => stored(dtype, shape, noise(elements(shape), seed))

/** The composition in plain loops. */
function expected([x, w, bias]: PlanInput[], lengths: ReadonlyMap<typeof T, number>): Float32Array {
  const [n, k] = w.shape as number[]
  const weight = dense(w).data as Float32Array
  const { data, shape } = dense(x, lengths)
  const rows: PlanInput = { dtype: 'f32', shape: [shape.slice(0, -1).reduce((a, d) => a * d, 1), k], data: data as Float32Array }
  const out = looped(matmul, [rows, { dtype: 'f32', shape: [k, n], strides: [1, k], data: weight }], null)
  return bias ? out.map((v, i) => v + (bias.data as Float32Array)[i % n]) : out
}

test.each(sets)('linear of dense weights, $name', async ({ options }) => {
  const device = await openCpu(options)
  const cases: PlanInput[][] = [
    ...(['f32', 'f16', 'bf16'] as const).map(t => [some('f32', [T, 70], 1), some(t, [45, 70], 2), some('f32', [45], 3)]),
    [some('f32', [70], 1), some('f32', [45, 70], 2)],
    [some('f32', [B, T, 33], 1), some('f16', [17, 33], 2)], // rows of a batch that are not next to each other
    [some('f32', [B, 2, 1030], 1), some('f32', [9, 1030], 2), some('f32', [9], 3)],
    [some('f32', [T, 20], 1), { ...some('f32', [20, 64], 2), shape: [30, 20], strides: [1, 64], offset: 2 }, some('f32', [30], 3)], // stored (K, N)
    [{ ...some('f32', [96 * 50], 1), shape: [T, 20], strides: [50, 2], offset: 7 }, some('bf16', [30, 20], 2)],
  ]
  for (const inputs of cases)
    for (const tokens of [0, 1, 2, 63, 64, 65]) {
      const lengths = new Map([
        [T, tokens],
        [B, 3],
      ])
      const [out] = await runPlan(device, linearDense, { inputs, attrs: null, lengths })
      expect(nmse(written(out, lengths), expected(inputs, lengths))).toBeLessThan(1e-10)
    }
  await device.close()
})

test('refusals of dense weights say why', () => {
  const x = { dtype: 'f32' as const, shape: [4, 32], strides: [32, 1], contiguous: true }
  const w = { dtype: 'f32' as const, shape: [8, 32], strides: [32, 1], contiguous: true }
  const bias = { dtype: 'f16' as const, shape: [8], strides: [1], contiguous: true }
  const why = (...inputs: (typeof x | typeof bias)[]) =>
    linearDense.why({ inputs, outputs: [{ dtype: 'f32', shape: [4, 8] }], attrs: null }, undefined as never)
  expect(why(x, w)).toBe(undefined)
  expect(why(x, w, bias)).toBe('the bias is not dense f32')
})
