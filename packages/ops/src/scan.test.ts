import { length, readAll, reference, type Tensor, tensor } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { expectGradients, noise } from '../../tensor/test/gradient.ts'
import { floatsOf, scanCases, scanOperandsOf } from '../test/scan-oracle.ts'
import { type ScanOperands, type ScanOptions, scan, scanOf } from './index.ts'

const device = reference()

interface Sizes {
  readonly q: number
  readonly k: number
  readonly v: number
  readonly states: number
  readonly dK: number
  readonly dV: number
}
const plain: Sizes = { q: 2, k: 2, v: 2, states: 2, dK: 4, dV: 3 }
const kinds = [
  ['add', 'none'],
  ['add', 'head'],
  ['add', 'channel'],
  ['delta', 'none'],
  ['delta', 'head'],
  ['delta', 'channel'],
] as const
type Kind = (typeof kinds)[number]

/** Random operands for tokens of rows that begin at `offsets`; a Length of tokens when `capacity` is given, with NaN beyond the value. */
function operands([rule, decay]: Kind, s: Sizes, offsets: readonly number[], capacity?: number) {
  const tokens = offsets.at(-1)!
  const n = capacity ? length('n', capacity) : tokens
  const make = (rest: number[], seed: number, f = (x: number) => x): Tensor => {
    const data = new Float32Array((capacity ?? tokens) * rest.reduce((a, b) => a * b, 1)).fill(Number.NaN)
    data.set(noise([tokens, ...rest], seed).map(f))
    const flat = tensor(data, [capacity ?? tokens, ...rest])
    return flat.view([n, ...rest], flat.strides)
  }
  const rows = offsets.length - 1
  return {
    q: make([s.q, s.dK], 1),
    k: make([s.k, s.dK], 2),
    v: make([s.v, s.dV], 3),
    initial: tensor(noise([rows, s.states, s.dK, s.dV], 4), [rows, s.states, s.dK, s.dV]),
    offsets: tensor(offsets, [rows + 1], 'i32'),
    decay: decay === 'none' ? undefined : make(decay === 'head' ? [s.states] : [s.states, s.dK], 5, x => (x - 1) * 2),
    beta: rule === 'delta' ? make([s.states], 6, x => (x + 1) / 2) : undefined,
  }
}

/** Outputs and states by the step form (`loops`) and by the chunked form (`compose`). */
async function both(o: ScanOperands, options: ScanOptions, tokens: number) {
  const step = scanOf(o, options)
  const [out, state] = scan.compose!(step.out.node.inputs, step.out.node.attrs as never)
  const lengths: Record<string, number> = typeof o.q.shape[0] === 'number' ? {} : { n: tokens }
  const r = await readAll({ a: step.out, b: step.state, c: out, d: state }, device, { lengths })
  return { step: [r.a.data, r.b.data], chunked: [r.c.data, r.d.data] }
}
function near(have: ArrayLike<number>, want: ArrayLike<number>, within = 2e-6): void {
  expect(have.length).toBe(want.length)
  const size = Math.max(1, ...Array.from(want, Math.abs))
  for (let i = 0; i < want.length; i++)
    if (!(Math.abs(have[i] - want[i]) <= within * size)) expect(`${i}: ${have[i]}`).toBe(`${i}: ${want[i]}`)
}

describe('scan', () => {
  it.each(scanCases())('$form of its authors: outputs and final states', async c => {
    const { operands, options } = scanOperandsOf(c)
    const r = await both(operands, options, c.offsets.at(-1)!)
    for (const form of [r.step, r.chunked]) {
      near(form[0], floatsOf(c.out))
      if (c.state) near(form[1], floatsOf(c.state))
    }
  })
  it.each(kinds)('%s with decay per %s: parallel, chunked and step forms agree', async (...kind) => {
    for (const [offsets, capacity] of [[[0, 1]], [[0, 5, 5, 12]], [[0, 70]], [[0, 3, 100, 141]], [[0, 2, 9], 16], [[0, 30, 90], 256]] as [
      number[],
      number?,
    ][]) {
      const r = await both(operands(kind, plain, offsets, capacity), { scale: 0.5 }, offsets.at(-1)!)
      r.step.forEach((want, i) => void near(r.chunked[i], want))
    }
  })
  it.each(kinds)('%s with decay per %s: token by token is all at once', async (...kind) => {
    const whole = await both(operands(kind, plain, [0, 9]), {}, 9)
    const o = operands(kind, plain, [0, 9])
    const at = (x: Tensor | undefined, t: number) => x?.slice(0, t, t + 1)
    let state = o.initial
    for (let t = 0; t < 9; t++) {
      const token = { q: at(o.q, t)!, k: at(o.k, t)!, v: at(o.v, t)!, decay: at(o.decay, t), beta: at(o.beta, t) }
      const r = await both({ ...token, initial: state, offsets: tensor([0, 1], [2], 'i32') }, {}, 1)
      for (const form of [r.step, r.chunked]) near(form[0], whole.step[0].slice(t * 6, t * 6 + 6))
      state = tensor(r.step[1] as Float32Array, o.initial.shape as number[])
    }
    const last = (await readAll({ state }, device)).state.data
    near(last, whole.step[1])
  })
  it('shares queries, keys and values among heads', async () => {
    for (const s of [
      { q: 1, k: 1, v: 4, states: 4, dK: 3, dV: 2 },
      { q: 4, k: 2, v: 2, states: 2, dK: 3, dV: 2 },
      { q: 2, k: 2, v: 4, states: 4, dK: 3, dV: 2 },
    ]) {
      const o = operands(['delta', 'head'], s, [0, 4, 7])
      const r = await both(o, {}, 7)
      const wide = (t: Tensor, n: number): Tensor => t.unsqueeze(2).expand([7, t.shape[1], n, t.shape[2]]) as Tensor
      const repeat = async (t: Tensor, heads: number): Promise<Tensor> => {
        const x = (await readAll({ x: wide(t, heads / (t.shape[1] as number)) }, device)).x.data as Float32Array
        return tensor(x, [7, heads, t.shape[2] as number])
      }
      // Every state head apart, its readers one by one.
      const readers = Math.max(s.q, s.states) / s.states
      for (let reader = 0; reader < readers; reader++) {
        const pick = Array.from({ length: s.states }, (_, p) => p * readers + reader)
        const all = await repeat(o.q, s.states * readers)
        const alone = await both(
          { ...o, q: all, k: await repeat(o.k, s.states), v: await repeat(o.v, s.states) },
          { queryHeads: pick, stateHeads: pick.map((_, p) => p) },
          7,
        )
        const heads = s.states * readers
        const own = Array.from(alone.step[0], (_, i) => {
          const [t, p, j] = [Math.floor(i / (s.states * 2)), Math.floor(i / 2) % s.states, i % 2]
          return r.step[0][(t * heads + pick[p]) * 2 + j]
        })
        near(own, alone.step[0])
        near(alone.step[1], r.step[1])
      }
      r.step.forEach((want, i) => void near(r.chunked[i], want))
    }
  })
  it('keeps the state of rows without tokens, and of all rows in a step without tokens', async () => {
    const o = operands(['delta', 'head'], plain, [0, 2, 2, 4])
    const initial = (await readAll({ x: o.initial }, device)).x.data
    const r = await both(o, {}, 4)
    for (const form of [r.step, r.chunked]) expect([...form[1].slice(24, 48)]).toEqual([...initial.slice(24, 48)])
    for (const capacity of [8, 128]) {
      const none = await both(operands(['delta', 'channel'], plain, [0, 0], capacity), {}, 0)
      const kept = [...noise([1, 2, 4, 3], 4)]
      for (const form of [none.step, none.chunked]) expect([...form[1]]).toEqual(kept)
    }
  })
  it('stays exact where keys repeat and where nothing is kept', async () => {
    const o = operands(['delta', 'head'], plain, [0, 64])
    const same = tensor(
      Float32Array.from({ length: 64 * 8 }, (_, i) => [0.5, -0.5, 0.5, 0.5][i % 4]),
      [64, 2, 4],
    )
    const ones = tensor(new Float32Array(128).fill(1), [64, 2])
    const forgetful = tensor(
      Float32Array.from({ length: 128 }, (_, i) => (i % 16 === 0 ? -Infinity : i % 5 === 0 ? -5000 : -0.001)),
      [64, 2],
    )
    for (const r of [
      await both({ ...o, k: same, beta: ones, decay: undefined }, {}, 64),
      await both({ ...o, k: same, beta: ones, decay: forgetful }, {}, 64),
    ])
      r.step.forEach((want, i) => void near(r.chunked[i], want))
  })
  it.each(kinds)('%s with decay per %s has gradients, through the state as well', async (rule, decay) => {
    const inputs = [
      { shape: [5, 2, 3] },
      { shape: [5, 2, 3] },
      { shape: [5, 2, 2] },
      { shape: [2, 2, 3, 2] },
      ...(decay === 'none'
        ? []
        : [{ shape: decay === 'head' ? [5, 2] : [5, 2, 3], data: noise(decay === 'head' ? [5, 2] : [5, 2, 3], 8).map(x => x - 1.1) }]),
      ...(rule === 'add' ? [] : [{ shape: [5, 2] }]),
    ]
    const f = (q: Tensor, k: Tensor, v: Tensor, initial: Tensor, ...rest: Tensor[]) =>
      scanOf({
        q,
        k,
        v,
        initial,
        offsets: tensor([0, 2, 5], [3], 'i32'),
        decay: decay === 'none' ? undefined : rest[0],
        beta: rule === 'add' ? undefined : rest.at(-1),
      })
    await expectGradients({ inputs, f: (...x) => f(...(x as [Tensor, Tensor, Tensor, Tensor])).out })
    await expectGradients({ inputs, f: (...x) => f(...(x as [Tensor, Tensor, Tensor, Tensor])).state })
  })
  it('refuses what does not fit, naming the shapes', () => {
    const o = operands(['delta', 'head'], plain, [0, 4])
    expect(() => scanOf({ ...o, v: o.k })).toThrow('scan: widths of q, k and v are not those of the state')
    expect(() => scanOf({ ...o, decay: o.q })).not.toThrow()
    expect(() => scanOf({ ...o, beta: o.q })).toThrow('scan: beta must be (N, P) (q (4, 2, 4)')
    expect(() => scanOf(o, { rule: 'add' })).toThrow('scan: the add rule has no beta')
    expect(() => scanOf(o, { keyHeads: [0, 2] })).toThrow('scan: keyHeads must name 2 of the 2 heads, not [0, 2]')
  })
})
