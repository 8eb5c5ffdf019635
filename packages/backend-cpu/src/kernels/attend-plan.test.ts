import { k, q, s, table } from '@attune/expr'
import { type AttendAttrs, attend } from '@attune/ops'
import { length, q4_0, rowMajor, type Sig, type Storage, type ViewType } from '@attune/tensor'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeAttend } from '../../test/attend-case.ts'
import { alibi, causal, gqa, window } from '../../test/attend-cases.ts'
import { builds, openCpu } from '../../test/devices.ts'
import { type PlanCase, type PlanInput, runPlan } from '../../test/run-plan.ts'
import type { CpuOptions } from '../index.ts'
import { attendFused } from './attend.ts'

const run = async (options: CpuOptions, ...cases: PlanCase[]) => {
  const device = await openCpu(options)
  const results: Float32Array[] = []
  for (const c of cases) results.push((await runPlan(device, attendFused, c))[0].data as Float32Array)
  await device.close()
  return results
}
const runWork = async (c: PlanCase) => {
  const device = await openCpu()
  const out = await runPlan(device, attendFused, c)
  await device.close()
  return out.map(o => o.data)
}
const bits = (x: Float32Array): Int32Array => new Int32Array(x.buffer, x.byteOffset, x.length)

// The kernels may have to be built first.
beforeAll(() => openCpu().then(device => device.close()), 600_000)

describe('attend', () => {
  it.each(builds)('gives the same bits for every number of threads, $name', async ({ options }) => {
    const c = makeAttend({ name: '', rows: [[90, 40], [1, 1500], [0, 3], [3, 700]], mask: window(600), score: alibi, dK: 32, ...gqa }) // biome-ignore format: one line
    const [one] = await run({ ...options, threads: 1 }, c)
    const [two, again] = await run({ ...options, threads: 2 }, c, c)
    expect(bits(two)).toEqual(bits(one))
    expect(bits(again)).toEqual(bits(one))
  })

  it('gives a batch row the same bits alone and in company', async () => {
    const rows = [[90, 40], [1, 900], [17, 0], [4, 700]] as const // biome-ignore format: one line
    const c = makeAttend({ name: '', rows, mask: causal, score: alibi, shuffled: true, ...gqa })
    const alone = rows.map((_, b) => onlyRow(c, b))
    const [all, ...each] = await run({}, c, ...alone)
    let at = 0
    for (const one of each) {
      expect(bits(one)).toEqual(bits(all.subarray(at, at + one.length)))
      at += one.length
    }
  })

  it('gives the same step by step, in pieces and at once', async () => {
    const c = makeAttend({ name: '', rows: [[150, 0]], mask: window(70), score: alibi, dK: 32, ...gqa })
    const cuts = [[150], [37, 63, 50], Array.from({ length: 150 }, () => 1)]
    const results: Float32Array[] = []
    for (const sizes of cuts) {
      let from = 0
      const pieces = sizes.map(n => tokensOf(c, (from += n) - n, from))
      results.push(Float32Array.from((await run({}, ...pieces)).flatMap(x => [...x])))
    }
    for (const x of results) expect(Math.max(...x.map((v, i) => Math.abs(v - results[0][i])))).toBeLessThan(2e-6)
  })

  it('leaves what lies beyond the run-time lengths alone', async () => {
    const c = makeAttend({ name: '', rows: [[20, 30], [1, 60]], mask: causal, lse: true, ...gqa }) // biome-ignore format: one line
    const [tokens, batch] = [length('tokens', 64), length('batch', 4)]
    const grown = c.inputs.map((x, i): PlanInput => grow(x, c.attrs.names[i], tokens, batch))
    const lengths = new Map([[tokens, 21], [batch, 2]]) // biome-ignore format: one line
    const [small, large] = await run({}, c, { inputs: grown, attrs: c.attrs, lengths })
    expect(large.length).toBe(64 * 6 * 16)
    expect(large.subarray(0, small.length)).toEqual(small)
    expect(large.subarray(small.length).every(Number.isNaN)).toBe(true)
  })

  it('clears tokens of no batch row', async () => {
    const c = makeAttend({ name: '', rows: [[7, 30], [5, 9]], mask: causal }) // biome-ignore format: one line
    const at = c.attrs.names.indexOf('offsets')
    const [out] = await run({}, { ...c, inputs: c.inputs.with(at, { ...c.inputs[at], data: Int32Array.of(0, 7, 9) }) })
    expect(out.some(Number.isNaN)).toBe(false)
    expect(out.subarray(9 * 3 * 16).every(x => x === 0)).toBe(true)
  })

  it('counts the slots it scores: those of the blocks listed, or of the window', async () => {
    for (const each of [false, true]) {
      const c = makeAttend({ name: '', rows: [[30, 100], [1, 90]], blocks: { size: 16, capacity: 4, each }, work: true, ...gqa }) // biome-ignore format: one line
      const at = (name: (typeof c.attrs.names)[number]) => c.inputs[c.attrs.names.indexOf(name)].data as Int32Array
      const scored = (await runWork(c))[1]
      const lists = each ? 6 : 2
      for (let n = 0; n < 31; n++)
        for (let h = 0; h < 6; h++) {
          const list = n * lists + (each ? h : Math.floor(h / 3))
          const slots = [...at('blocks').subarray(list * 4, list * 4 + at('blockCounts')[list])].map(j => {
            return Math.min(16, Math.max(0, (n < 30 ? 130 : 91) - 16 * j))
          })
          expect(scored[n * 6 + h]).toBe(slots.reduce((x, y) => x + y, 0))
        }
    }
    const windowed = (await runWork(makeAttend({ name: '', rows: [[1, 1500], [64, 1000]], mask: window(100), work: true })))[1] // biome-ignore format: one line
    expect(Math.min(...windowed)).toBeGreaterThanOrEqual(100)
    expect(Math.max(...windowed)).toBeLessThanOrEqual(100 + 3 * 64)
  })

  it('refuses in a sentence', () => {
    const why = (change: Partial<AttendAttrs>, types: { [name: string]: Partial<ViewType> | undefined } = {}): string | undefined =>
      attendFused.why(signature(change, types), { features: new Set(), maxBindings: 32, maxBufferBytes: 2 ** 31, threads: 1 })
    const packed = (dtype: Storage) => ({ k: { dtype }, v: { dtype } })
    const huge = Array.from({ length: 9 }, () => table(null, { dtype: 'f32', rank: 1 }))
    expect(why({})).toBeUndefined()
    expect(why({ mass: true, block: 4 }, { blocks: { dtype: 'i32', shape: [5, 4, 2] } })).toMatch(/mass/)
    expect(() => why({ weigh: 'sigmoid', lse: true })).toThrow(/lse/)
    expect(why({}, { rotate: { dtype: 'f32', shape: [9] } })).toMatch(/9 frequencies/)
    expect(why({}, packed(q4_0))).toMatch(/k is q4_0/)
    expect(why({}, { q: { dtype: 'f16' } })).toMatch(/queries are f16/)
    expect(why({}, { q: { shape: [5, 4, 18] }, k: { shape: [1, 4, 9, 18] } })).toMatch(/keys are 18 wide/)
    expect(why({}, { k: { shape: [1, 4, 2 ** 24, 16] } })).toMatch(/2\^24/)
    expect(why({}, { k: { strides: [16 * 36, 16 * 9, 1, 9] } })).toMatch(/not dense/)
    expect(why({ score: s.sin() })).toMatch(/sin/)
    expect(why({ mask: k.row.f32().pow(q.row.f32()).lt(2) })).toMatch(/pow/)
    expect(why({ score: huge.reduce((e, t) => e.add(t.at(k.row)), s) })).toMatch(/9 tables/)
  })
})

/** The operands of one batch row. */
function onlyRow({ inputs, attrs }: PlanCase, b: number): PlanCase {
  const offsets = inputs[attrs.names.indexOf('offsets')].data as Int32Array
  const batch = offsets.length - 1
  const [from, to] = [offsets[b], offsets[b + 1]]
  return {
    attrs,
    inputs: inputs.map((x, i) => {
      const name = attrs.names[i]
      if (name === 'offsets') return { ...x, shape: [2], data: Int32Array.of(0, to - from) }
      if (name === 'q' || name === 'qRow') return rowsOf(x, from, to)
      return x.shape[0] === batch && name ? rowsOf(x, b, b + 1) : x
    }),
  }
}

/** The step of tokens from … to of a single batch row, with the keys that are there by then. */
function tokensOf({ inputs, attrs }: PlanCase, from: number, to: number): PlanCase {
  return {
    attrs,
    inputs: inputs.map((x, i) => {
      const name = attrs.names[i]
      if (name === 'offsets') return { ...x, data: Int32Array.of(0, to - from) }
      if (name === 'lengths') return { ...x, data: (x.data as Int32Array).map(() => to) }
      return name === 'q' || name === 'qRow' ? rowsOf(x, from, to) : x
    }),
  }
}

function rowsOf(x: PlanInput, from: number, to: number): PlanInput {
  const data = x.data as Float32Array | Int32Array
  const each = data.length / (x.shape[0] as number)
  return { ...x, shape: [to - from, ...x.shape.slice(1)], data: data.slice(from * each, to * each) }
}

/** The same operand over a capacity: what is added is never to be read. */
function grow(x: PlanInput, name: string, tokens: ReturnType<typeof length>, batch: ReturnType<typeof length>): PlanInput {
  const of = name === 'q' || name === 'qRow' ? tokens : ['k', 'v', 'lengths', 'offsets'].includes(name) ? batch : undefined
  if (!of) return x
  const data = x.data as Float32Array | Int32Array
  const each = name === 'offsets' ? 1 : data.length / (x.shape[0] as number)
  const first = name === 'offsets' ? of.max + 1 : of.max
  const grown = data instanceof Int32Array ? new Int32Array(first * each).fill(-9) : new Float32Array(first * each).fill(Number.NaN)
  grown.set(data)
  return { ...x, shape: [name === 'offsets' ? first : of, ...x.shape.slice(1)], data: grown }
}

function signature(change: Partial<AttendAttrs>, types: { [name: string]: Partial<ViewType> | undefined }): Sig<AttendAttrs> {
  const shapes: { [name: string]: ViewType['shape'] } = {
    q: [5, 4, 16],
    k: [1, 4, 9, 16],
    v: [1, 4, 9, 16],
    lengths: [1, 4],
    offsets: [2],
    qRow: [5],
  }
  const all: { [name: string]: Partial<ViewType> | undefined } = { ...Object.fromEntries(Object.keys(shapes).map(n => [n, {}])), ...types }
  const names = Object.keys(all) as AttendAttrs['names'][number][]
  const inputs = names.map((n): ViewType => {
    const shape = all[n]?.shape ?? shapes[n]
    const dtype = all[n]?.dtype ?? (['q', 'k', 'v'].includes(n) ? 'f32' : 'i32')
    return { dtype, shape, strides: all[n]?.strides ?? rowMajor(shape), contiguous: !all[n]?.strides }
  })
  const heads = [0, 1, 2, 3]
  const attrs: AttendAttrs = { names, keyHeads: heads, valueHeads: heads, scale: 1, weigh: 'softmax', lse: false, mass: false, ...change }
  const vectors = Array.from(
    { length: attrs.score ? 9 : 0 },
    (): ViewType => ({ dtype: 'f32', shape: [9], strides: [1], contiguous: true }),
  )
  const sig = [...inputs, ...vectors]
  return { inputs: sig, outputs: attend.infer(sig, attrs), attrs }
}
