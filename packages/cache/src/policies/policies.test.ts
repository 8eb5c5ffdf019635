import { describe, expect, it } from 'vitest'
import type { EvictionPolicy, Observed } from '../policy.ts'
import {
  adaKv,
  duoAttention,
  h2o,
  headKv,
  keyDiff,
  knorm,
  observedAttention,
  pyramidKv,
  randomRows,
  repetitionGates,
  snapKv,
  streamingLlm,
  tova,
} from './index.ts'

const LAYERS = 3
const HEADS = 2
/** Numbers in [0, 1) that differ for every slot. */
const noise = (i: number): number => (Math.sin(i * 12.9898) * 43758.5453) % 1 ** 2
const observed = (rows: number, skip = 0): Observed => ({
  rows: rows + skip,
  layers: Array.from({ length: LAYERS }, (_, l) => {
    const heads = Array.from({ length: HEADS }, (_, h) => l * 10 + h)
    return {
      heads: HEADS,
      rows: heads.map(() => Int32Array.from({ length: rows }, (_, i) => (i < 4 ? i : i + skip))),
      mass: heads.map(seed => Float32Array.from({ length: rows }, (_, i) => Math.abs(noise(seed * 1000 + i)))),
      parts: { k: heads.map(seed => Float32Array.from({ length: rows * 4 }, (_, i) => noise(seed * 77 + i + 5))) },
    }
  }),
})
const importance = [0.1, 0.7, 0.3].map(g => [g, 1 - g])
const all: EvictionPolicy[] = [
  snapKv(),
  h2o(),
  observedAttention(),
  tova(),
  knorm(),
  keyDiff(),
  streamingLlm(),
  randomRows(),
  adaKv(),
  pyramidKv(),
  headKv({ importance }),
  duoAttention({ gates: importance }),
]
const counts = (policy: EvictionPolicy, rows: number, budget: number): number[][] =>
  policy.plan(observed(rows), { rows: budget }).map(layer => layer!.map(slots => slots!.length))
const total = (x: number[][]): number => x.flat().reduce((a, b) => a + b, 0)

describe.each(all.map(p => [p.name, p] as const))('%s', (_, policy) => {
  it('keeps everything when everything fits', () => {
    for (const budget of [400, 1000]) expect(counts(policy, 400, budget)).toEqual(Array.from({ length: LAYERS }, () => [400, 400]))
  })
  it('keeps ascending slots and no more than the budget', () => {
    const kept = policy.plan(observed(400), { rows: 0.5 })
    for (const slots of kept.flatMap(l => l!)) {
      expect([...slots!]).toEqual([...slots!].sort((a, b) => a - b))
      expect(new Set(slots).size).toBe(slots!.length)
      expect(slots!.length).toBeGreaterThan(0)
    }
    const sum = total(counts(policy, 400, 0.5))
    // Rounding per layer or head may shift a row each.
    expect(Math.abs(sum - LAYERS * HEADS * 200)).toBeLessThanOrEqual(policy.name === 'duo-attention' ? 400 : LAYERS * HEADS)
  })
  it('says where it comes from', () => {
    expect(policy.about.title).toBeTruthy()
    if (policy.about.family !== 'baseline') expect(policy.about.paper).toMatch(/^https:\/\/arxiv.org\/abs\//)
  })
})

it('snapkv keeps its window and neighbours of what the window reads', () => {
  const one = observed(100)
  const mass = new Float32Array(100)
  mass[40] = 1
  const kept = snapKv({ window: 10, kernel: 5, pool: 'mean' }).plan(
    { rows: 100, layers: [{ heads: 1, rows: [one.layers[0].rows[0]], mass: [mass] }] },
    { rows: 15 },
  )
  expect([...kept[0]![0]!]).toEqual([38, 39, 40, 41, 42, ...Array.from({ length: 10 }, (_, i) => 90 + i)])
})
it('h2o keeps half for the latest rows, by row and not by slot', () => {
  const late = observed(100, 50)
  const kept = h2o().plan(late, { rows: 20 })
  for (const slots of kept.flatMap(l => [...l!])) expect([...slots!].slice(-10)).toEqual(Array.from({ length: 10 }, (_, i) => 90 + i))
})
it('adakv gives a head with stronger rows more of them, and every head its safeguard', () => {
  const { rows } = observed(100).layers[0]
  const strong = Float32Array.from({ length: 100 }, (_, i) => 10 + Math.abs(noise(i)))
  const weak = Float32Array.from({ length: 100 }, (_, i) => Math.abs(noise(i)))
  const plan = adaKv({ by: knormOf([strong, weak]), safeguard: 0.2 }).plan({ rows: 100, layers: [{ heads: 2, rows }] }, { rows: 30 })
  expect(plan[0]!.map(s => s!.length)).toEqual([54, 6])
})
const knormOf = (scores: Float32Array[]) => ({ ...randomRows(), scores: () => scores })

it('streaming-llm keeps the first and the latest rows', () => {
  const [first] = streamingLlm({ sinks: 3 }).plan(observed(50), { rows: 10 })[0]!
  expect([...first!]).toEqual([0, 1, 2, 43, 44, 45, 46, 47, 48, 49])
})
it('random keeps a row again when it acts again', () => {
  const first = randomRows({ seed: 5 }).plan(observed(80), { rows: 40 })
  const again = randomRows({ seed: 5 }).plan(observed(80), { rows: 20 })
  for (const [l, layer] of again.entries())
    for (const [h, slots] of layer!.entries()) for (const s of slots!) expect(first[l]![h]).toContain(s)
  expect(randomRows({ seed: 6 }).plan(observed(80), { rows: 40 })).not.toEqual(first)
})
it('pyramidkv falls from the first to the last layer, and means the budget', () => {
  const own = counts(pyramidKv({ beta: 10, window: 8 }), 1000, 0.25).map(l => l[0])
  expect(own).toEqual([475, 250, 25])
})
it('duo-attention spends its budget on the heads that look far', () => {
  const gates = [
    [0.1, 0.9],
    [0.2, 0.3],
    [0.8, 0.05],
  ]
  const kept = duoAttention({ gates, sinks: 4, recent: 16 }).plan(observed(400), { rows: 0.4 })
  expect(kept.map(l => l!.map(s => s!.length))).toEqual([
    [20, 400],
    [20, 20],
    [400, 20],
  ])
  expect([...kept[0]![0]!].slice(0, 5)).toEqual([0, 1, 2, 3, 384])
})
it('gates are the mean of what heads read of a repeated prompt', () => {
  expect(repetitionGates([[Float32Array.of(0.5, 1), Float32Array.of(0, 0)]])).toEqual([[0.75, 0]])
})
it('a policy without what it asked for says so', () => {
  const bare: Observed = { rows: 4, layers: [{ heads: 1, rows: [Int32Array.of(0, 1, 2, 3)] }] }
  expect(() => snapKv().plan(bare, { rows: 2 })).toThrow(/snapkv needs observed weights/)
  expect(() => knorm().plan(bare, { rows: 2 })).toThrow(/knorm needs the stored 'k'/)
})
