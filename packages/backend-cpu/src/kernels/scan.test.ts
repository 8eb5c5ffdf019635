import type { ScanAttrs } from '@attune/ops'
import { length } from '@attune/tensor'
import { expect, it } from 'vitest'
import { expectReference, f32s, i32s, onEveryBuild } from '../../test/against-reference.ts'
import { type PlanInput, runPlan } from '../../test/run-plan.ts'
import { scanKernel } from './scan.ts'

const close = { relative: 3e-6 }
const range = (n: number, f = (i: number) => i): number[] => Array.from({ length: n }, (_, i) => f(i))
const scaled = (x: PlanInput, f: (v: number) => number): PlanInput => ({ ...x, data: (x.data as Float32Array).map(f) })

interface Sizes {
  readonly q: number
  readonly k: number
  readonly v: number
  readonly states: number
  readonly dK: number
  readonly dV: number
}
type Decay = 'none' | 'head' | 'channel'

/** A case of `tokens` tokens; rows begin at `offsets`. */
function scanCase(rule: ScanAttrs['rule'], decay: Decay, s: Sizes, tokens: PlanInput['shape'][0], offsets: readonly number[]) {
  const rows = offsets.length - 1
  const n = typeof tokens === 'number' ? tokens : tokens.max
  const make = (rest: number[], seed: number) => ({ ...f32s([n, ...rest], seed), shape: [tokens, ...rest] })
  const heads = Math.max(s.q, s.states)
  const grouped = (from: number, to: number) => range(from, i => Math.floor((i * to) / from))
  const operands = {
    q: make([s.q, s.dK], 1),
    k: scaled(make([s.k, s.dK], 2), x => x / 8),
    v: make([s.v, s.dV], 3),
    initial: f32s([rows, s.states, s.dK, s.dV], 4),
    offsets: i32s([rows + 1], offsets),
    ...(decay === 'none' ? {} : { decay: scaled(make(decay === 'head' ? [s.states] : [s.states, s.dK], 5), x => x - 2) }),
    ...(rule === 'delta' ? { beta: scaled(make([s.states], 6), x => (x + 2) / 4) } : {}),
  }
  const attrs: ScanAttrs = {
    names: Object.keys(operands) as ScanAttrs['names'],
    rule,
    scale: 0.7,
    queryHeads: grouped(heads, s.q),
    stateHeads: grouped(heads, s.states),
    keyHeads: grouped(s.states, s.k),
    valueHeads: grouped(s.states, s.v),
  }
  return { inputs: Object.values(operands) as PlanInput[], attrs }
}
const small: Sizes = { q: 2, k: 2, v: 2, states: 2, dK: 5, dV: 3 }

onEveryBuild(open => {
  it.each(['add', 'delta'] as const)('steps tokens of three rows by the %s rule', async rule => {
    const device = await open()
    const n = length('n', 70)
    for (const decay of ['none', 'head', 'channel'] as const)
      for (const tokens of [0, 1, 2, 63, 64, 65])
        for (const sizes of [small, { q: 2, k: 1, v: 4, states: 4, dK: 16, dV: 33 }, { q: 4, k: 2, v: 1, states: 2, dK: 20, dV: 150 }]) {
          const [first, second] = [Math.min(tokens, 2), Math.max(Math.min(tokens, 2), tokens - 20)]
          const test = scanCase(rule, decay, sizes, n, [0, first, second, tokens])
          await expectReference(device, scanKernel, { ...test, lengths: new Map([[n, tokens]]) }, close)
        }
  })
  it('takes strided views and a Length of rows', async () => {
    const device = await open()
    const b = length('b', 2)
    for (const rows of [1, 2]) {
      const test = scanCase('delta', 'channel', small, 9, rows === 1 ? [0, 9, 9] : [0, 4, 9])
      const inputs = test.inputs.map((x, i): PlanInput => {
        const name = test.attrs.names[i]
        if (name === 'initial') return { ...x, shape: [b, ...x.shape.slice(1)] }
        // q, k and v as they come out of one projection, interleaved.
        if (name === 'k') return { ...f32s([9, 80], 7), shape: [9, 2, 5], strides: [80, 40, 2], offset: 3 }
        if (name === 'v') return { ...f32s([9, 80], 8), shape: [9, 2, 3], strides: [80, 4, 8], offset: 1 }
        return x
      })
      await expectReference(device, scanKernel, { ...test, inputs, lengths: new Map([[b, rows]]) }, { relative: 2e-5 })
    }
  })
  it('gives a row the same bits alone and in a batch', async () => {
    const device = await open()
    const sizes = { ...small, dK: 24, dV: 70 }
    const both = scanCase('delta', 'head', sizes, 12, [0, 5, 12])
    const cut = (x: PlanInput, i: number): PlanInput => {
      const name = both.attrs.names[i]
      if (name === 'offsets') return i32s([2], [0, 7])
      const values = x.data as Float32Array
      const from = ((name === 'initial' ? 1 : 5) * values.length) / (x.shape[0] as number)
      return { ...x, shape: [name === 'initial' ? 1 : 7, ...x.shape.slice(1)], data: values.slice(from) }
    }
    const [together, alone] = [
      await runPlan(device, scanKernel, both),
      await runPlan(device, scanKernel, { ...both, inputs: both.inputs.map(cut) }),
    ]
    alone.forEach(({ data }, i) => {
      const floats = (d: ArrayBufferView) => [...new Float32Array(d.buffer, d.byteOffset, d.byteLength / 4)]
      expect(floats(data)).toEqual(floats(together[i].data).slice(-data.byteLength / 4))
    })
  })
})
