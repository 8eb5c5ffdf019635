import type { Kernel } from '@attune/tensor'
import { expect, it } from 'vitest'
import { expected, i32s, integers, numbers, onEveryBuild } from '../../test/against-reference.ts'
import { type PlanInput, runPlan } from '../../test/run-plan.ts'
import { sampleKernel } from './sample.ts'

interface Options {
  temperature?: number
  k?: number
  p?: number
  least?: number
  penalty?: number
}
const f32 = (shape: number[], data: ArrayLike<number>): PlanInput => ({ dtype: 'f32', shape, data: Float32Array.from(data) })
const optionRows = (rows: Options[]): PlanInput =>
  f32(
    [rows.length, 8],
    rows.flatMap(({ temperature = 1, k = 0, p = 1, least = 0, penalty = 1 }) => [temperature, k, p, least, penalty, 0, 0, 0]),
  )
const keys = (n: number): PlanInput => i32s([n, 2], integers(2 * n, 2 ** 24, 5))

const rows: Options[] = [
  { temperature: 0 },
  { temperature: 0, penalty: 1.3, k: 5 },
  {},
  { temperature: 0.7 },
  { k: 1 },
  { k: 40, temperature: 1.5 },
  { k: 7.5 },
  { k: 10_000 },
  { p: 0.9 },
  { p: 0.1 },
  { p: 0.001 },
  { least: 0.05 },
  { least: 1 },
  { k: 50, p: 0.95, least: 0.02, temperature: 0.8, penalty: 1.1 },
]

onEveryBuild(open => {
  it.each([1, 7, 64, 1001])('draws what the composition draws among %i tokens', async vocabulary => {
    const device = await open()
    const b = rows.length
    const logits = f32([b, vocabulary], numbers(b * vocabulary, vocabulary, 6))
    const coarse = f32([b, vocabulary], (logits.data as Float32Array).map(Math.round)) // ties
    const recent = i32s(
      [b, 4],
      integers(b * 4, vocabulary + 1, 3).map(v => v - 1),
    )
    for (const x of [logits, coarse]) {
      const test = { inputs: [x, optionRows(rows), recent, keys(b)], attrs: null }
      const [ids, logprobs] = await runPlan(device, sampleKernel as Kernel, test)
      const want = await expected(sampleKernel as Kernel, test)
      expect([...ids.data]).toEqual([...want[0].data])
      logprobs.data.forEach((v, i) => expect(Math.abs(v - want[1].data[i])).toBeLessThan(2e-6))
    }
  })
  it('keeps its thresholds with masked entries, and takes the first when everything is masked', async () => {
    const device = await open()
    const wide = numbers(64, 2, 5)
    for (let i = 0; i < 64; i += 3) wide[i] = i % 2 ? -Infinity : -3.4e38
    const test = {
      inputs: [
        f32([2, 64], [...wide, ...wide]),
        optionRows([
          { k: 3, temperature: 4 },
          { p: 0.4, temperature: 3 },
        ]),
        i32s([2, 1], [-1, -1]),
        keys(2),
      ],
      attrs: null,
    }
    const want = await expected(sampleKernel as Kernel, test)
    const [ids] = await runPlan(device, sampleKernel as Kernel, test)
    expect([...ids.data]).toEqual([...want[0].data])
    const none = { ...test, inputs: [f32([2, 64], new Array(128).fill(-Infinity)), ...test.inputs.slice(1)] }
    expect([...(await runPlan(device, sampleKernel as Kernel, none))[0].data]).toEqual([0, 0])
  })
  it('draws by the probabilities that are left (chi-square)', async () => {
    const device = await open()
    const draws = 4096
    const logits = [2, 1, 0.5, 0, -1, -3, 1.5, 0.25]
    const temperature = 0.8
    const test = {
      inputs: [
        f32([draws, 8], Array.from({ length: draws }, () => logits).flat()),
        optionRows(new Array(draws).fill({ temperature, k: 6 })),
        i32s([draws, 1], new Int32Array(draws).fill(-1)),
        i32s([draws, 2], Array.from({ length: draws }, (_, i) => [7, i]).flat()),
      ],
      attrs: null,
    }
    const [ids] = await runPlan(device, sampleKernel as Kernel, test)
    const count = logits.map(() => 0)
    for (const id of ids.data) count[id]++
    const weights = logits.map(x => (x > -1 ? Math.exp(x / temperature) : 0))
    const total = weights.reduce((a, b) => a + b, 0)
    let chi = 0
    weights.forEach((w, i) => {
      if (w === 0) expect(count[i]).toBe(0)
      else chi += (count[i] - (draws * w) / total) ** 2 / ((draws * w) / total)
    })
    expect(chi).toBeLessThan(20.5) // 5 degrees of freedom, p = 0.001
  })
  it('draws the same whatever stands beside a row', async () => {
    const device = await open()
    const x = numbers(9 * 333, 4, 4)
    const options = optionRows(new Array(9).fill({ p: 0.9 }))
    const recent = i32s([9, 1], new Int32Array(9).fill(-1))
    const all = await runPlan(device, sampleKernel as Kernel, { inputs: [f32([9, 333], x), options, recent, keys(9)], attrs: null })
    const row = (t: PlanInput, width: number): PlanInput => ({ ...t, shape: [1, width], offset: 5 * width })
    const inputs = [row(f32([9, 333], x), 333), row(options, 8), row(recent, 1), row(keys(9), 2)]
    const one = await runPlan(device, sampleKernel as Kernel, { inputs, attrs: null })
    expect([one[0].data[0], one[1].data[0]]).toEqual([all[0].data[5], all[1].data[5]])
  })
})
