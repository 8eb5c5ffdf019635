import { compileJs, constant, type Expr, fixed, table, variable } from '@attune/expr'
import { gelu, geluTanh, silu, softCap, swiglu } from '@attune/ops'
import { length, type MapAttrs, type Storage, type Tensor } from '@attune/tensor'
import { expect, it } from 'vitest'
import { expectReference, f32s, i32s, integers, numbers, onEveryBuild, stored } from '../../test/against-reference.ts'
import type { PlanInput } from '../../test/run-plan.ts'
import { runPlan } from '../../test/run-plan.ts'
import { mapKernel } from './map.ts'

const x = [0, 1, 2, 3].map(i => variable(`x${i}`, 'f32'))
const n = [0, 1, 2, 3].map(i => variable(`x${i}`, 'i32'))
const i = [0, 1, 2, 3].map(a => variable(`i${a}`, 'i32'))
const attrs = (expr: Expr, arity: number, shape: MapAttrs['shape'] = [], dtype: Storage = expr.type): MapAttrs => ({
  expr,
  arity,
  dtype,
  shape,
})
const only = (data: number[], shape = [data.length]): PlanInput => ({ dtype: 'f32', shape, data: Float32Array.from(data) })

const unary: [string, (e: Expr) => Expr, number[], number?][] = [
  ['neg', e => e.neg(), [1, -2, 0]],
  ['abs', e => e.abs(), [1, -2, 0]],
  ['floor', e => e.floor(), [1.5, -1.5, 3, -3, 1e9, -0.25]],
  ['exp', e => e.exp(), [0, 1, -1, 88, -87, -200, 20.5]],
  ['log', e => e.log(), [1, 2, 1e-30, 1e30, 0, 0.5, 7]],
  ['tanh', e => e.tanh(), [0, 1e-4, 0.5, -0.7, 3, -20, 90]],
  ['sin', e => e.sin(), [0, 1, -1, 3, 100, -1e4, 131072, 1e6, 0.001]],
  ['cos', e => e.cos(), [0, 1, -1, 3, 100, -1e4, 131072, 1e6, 0.001]],
  ['sqrt', e => e.sqrt(), [0, 2, 1e30, 1e-30]],
  ['rsqrt', e => e.rsqrt(), [2, 1e30, 1e-30, 9]],
  ['sigmoid', e => e.sigmoid(), [0, 5, -5, 80, -80, 200]],
  ['erf', e => e.erf(), [0, 0.1, -0.5, 1, -2, 3.9, 6]],
  ['i32', e => e.i32(), [1.5, -1.5, 3, 1e6]],
  ['silu', silu, [0, 1, -1, 20, -20]],
  ['gelu', gelu, [0, 1, -1, 5, -3]],
  ['geluTanh', geluTanh, [0, 1, -1, 5, -3]],
  ['softCap', softCap(30), [0, 1, -1, 500, -30]],
]

onEveryBuild(open => {
  it.each(unary)('computes %s', async (_name, f, points) => {
    const data = Float32Array.from([...points, ...numbers(300, 3, 4).map(Math.abs)])
    const device = await open()
    const out = await runPlan(device, mapKernel, { inputs: [{ dtype: 'f32', shape: [data.length], data }], attrs: attrs(f(x[0]), 1) })
    const meaning = compileJs(f(x[0]), ['x0'])
    data.forEach((value, at) => {
      const want = Math.fround(meaning([value]))
      const have = out[0].data[at]
      if (!(have === want || Math.abs(have - want) <= 4e-7 * Math.max(1, Math.abs(want)))) expect([value, have]).toEqual([value, want])
    })
  })
  it('raises to powers', async () => {
    const bases = [0, 1, 2, 0.5, 10, 1e-20, 1e20, -2, -3, 0.999]
    const powers = [0, 1, 2, -1, 0.5, 3, -3, 1.5, 20]
    const a = bases.flatMap(b => powers.map(() => b))
    const b = bases.flatMap(() => powers)
    const out = await runPlan(await open(), mapKernel, { inputs: [only(a), only(b)], attrs: attrs(x[0].pow(x[1]), 2) })
    a.forEach((v, k) => {
      const want = Math.fround(Math.fround(v) ** b[k])
      const have = out[0].data[k]
      if (!(Object.is(have, want) || have === want || Math.abs(have - want) <= 3e-7 * Math.abs(want)))
        expect(`${v}^${b[k]} = ${have}`).toBe(`${v}^${b[k]} = ${want}`)
    })
  })
  it.each([0, 1, 63, 64, 65, 8192 + 1000])('runs a fused chain over %i rows', async rows => {
    const t = length('t', 8192 * 2)
    const shape = [t, 3]
    await expectReference(
      await open(),
      mapKernel,
      {
        inputs: [f32s([8192 * 2, 3], 1), f32s([8192 * 2, 3], 2)].map(v => ({ ...v, shape })),
        attrs: attrs(swiglu(x[0], x[1]), 2),
        lengths: new Map([[t, rows]]),
      },
      { relative: 1e-6 },
    )
  })
  it('broadcasts, walks strided and offset views, and counts indices', async () => {
    const device = await open()
    const base = f32s([7, 5, 70])
    const cases: [PlanInput[], MapAttrs][] = [
      [[f32s([7, 1, 70]), f32s([5, 1], 2)], attrs(x[0].add(x[1]), 2)],
      [[{ ...base, shape: [70, 5, 7], strides: [1, 70, 350] }, f32s([7], 2)], attrs(x[0].mul(x[1]), 2)],
      [[{ ...base, shape: [7, 3, 66], strides: [350, 70, 1], offset: 73 }], attrs(x[0].mul(2), 1)],
      [[{ ...base, shape: [7, 5, 35], strides: [350, 70, 2], offset: 1 }], attrs(x[0].neg(), 1)],
      [[], attrs(i[0].mul(100).add(i[2]).f32(), 0, [3, 4, 5])],
      [[], attrs(i[1].mul(10).add(i[0]), 0, [300, 2])],
      [[f32s([], 3)], attrs(x[0].add(i[0].f32()), 1, [67])],
      [[f32s([3, 1, 1, 65], 3)], attrs(x[0].add(i[2].mul(i[1]).f32()), 1, [3, 2, 3, 65])],
    ]
    for (const [inputs, a] of cases) await expectReference(device, mapKernel, { inputs, attrs: a }, { relative: 1e-7 })
  })
  it('keeps Length axes inside a shape apart from their capacity', async () => {
    const a = length('a', 5)
    const b = length('b', 6)
    const test = { inputs: [f32s([5, 6, 3]), f32s([6, 1], 4)].map((v, k) => ({ ...v, shape: k ? [b, 1] : [a, b, 3] })) }
    for (const [p, q] of [
      [0, 2],
      [1, 1],
      [5, 6],
      [3, 4],
    ])
      await expectReference(
        await open(),
        mapKernel,
        {
          ...test,
          attrs: attrs(x[0].mul(x[1]), 2),
          lengths: new Map([
            [a, p],
            [b, q],
          ]),
        },
        { relative: 1e-7 },
      )
  })
  it('compares, selects and converts between types', async () => {
    const device = await open()
    const a = i32s([130], integers(130, 50, 1))
    const b = i32s(
      [130],
      integers(130, 9, 2).map(v => v + 1),
    )
    for (const e of [
      n[0].idiv(n[1]),
      n[0].mod(n[1]),
      n[0].min(n[1]),
      n[0].sub(n[1]),
      n[0].lt(n[1]).i32(),
      n[0].eq(n[1]).or(n[0].gt(20)).select(n[0], n[1]),
    ])
      await expectReference(device, mapKernel, { inputs: [a, b], attrs: attrs(e, 2) })
    for (const e of [n[0].le(n[1]), n[0].ne(n[1]).and(n[0].ge(3)).not()])
      await expectReference(device, mapKernel, { inputs: [a, b], attrs: attrs(e, 2) })
    const flags: PlanInput = { dtype: 'bool', shape: [130], data: Uint8Array.from(a.data as Int32Array, v => v & 1) }
    await expectReference(device, mapKernel, { inputs: [flags, a], attrs: attrs(variable('x0', 'bool').select(n[1], 0), 2) })
    for (const dtype of ['f16', 'bf16', 'i32', 'u8'] as const)
      await expectReference(device, mapKernel, { inputs: [f32s([130])], attrs: attrs(x[0].mul(100).abs(), 1, [], dtype) })
    for (const dtype of ['f16', 'bf16'] as const)
      await expectReference(device, mapKernel, { inputs: [await stored(dtype, [130], numbers(130))], attrs: attrs(x[0].mul(2), 1) })
  })
  it('lets NaN through min, max and select', async () => {
    const out = await runPlan(await open(), mapKernel, {
      inputs: [only([Number.NaN, 1, Number.NaN]), only([0, Number.NaN, Number.NaN])],
      attrs: attrs(x[0].max(x[1]), 2),
    })
    expect([...out[0].data]).toEqual([Number.NaN, Number.NaN, Number.NaN])
  })
  it('reads tables by index, clamped', async () => {
    const device = await open()
    const at = i32s(
      [100],
      integers(100, 9, 5).map(v => v - 2),
    )
    const one = { key: 'one' } as unknown as Tensor
    const two = { key: 'two' } as unknown as Tensor
    const e = table(one, { dtype: 'f32', rank: 1 })
      .at(n[0])
      .add(table(two, { dtype: 'i32', rank: 2 }).at(n[0], i[0].mod(3)).f32())
    const clampedTo = (v: Expr, top: number) => v.max(0).min(top)
    const safe = table(one, { dtype: 'f32', rank: 1 })
      .at(clampedTo(n[0], 4))
      .add(table(two, { dtype: 'i32', rank: 2 }).at(clampedTo(n[0], 5), i[0].mod(3)).f32())
    const operands = [f32s([5]), { ...i32s([3, 6], integers(18, 100)), shape: [6, 3], strides: [1, 6] }]
    await expectReference(device, mapKernel, { inputs: [at, ...operands], attrs: attrs(safe, 1) })
    const [have, want] = [
      await runPlan(device, mapKernel, { inputs: [at, ...operands], attrs: attrs(e, 1) }),
      await runPlan(device, mapKernel, { inputs: [at, ...operands], attrs: attrs(safe, 1) }),
    ]
    expect(have[0].data).toEqual(want[0].data)
  })
  it('gives the same bits whatever stands beside a row', async () => {
    const device = await open()
    const many = numbers(64 * 37, 8)
    const f = attrs(gelu(x[0]).add(fixed(0.5)).mul(constant(1.25)), 1)
    const all = await runPlan(device, mapKernel, { inputs: [{ dtype: 'f32', shape: [64, 37], data: many }], attrs: f })
    for (const row of [0, 13, 63]) {
      const one = await runPlan(device, mapKernel, {
        inputs: [{ dtype: 'f32', shape: [1, 37], data: many.slice(row * 37, row * 37 + 37) }],
        attrs: f,
      })
      expect(one[0].data).toEqual(all[0].data.slice(row * 37, row * 37 + 37))
    }
  })
})

it('refuses what it cannot do', () => {
  const limits = { maxBufferBytes: 1, maxBindings: 32, features: new Set<string>(), threads: 1 }
  const whole = (e: Expr, shape: number[]) =>
    mapKernel.why({ inputs: [], outputs: [{ dtype: 'i32', shape }], attrs: attrs(e, 0, shape) }, limits)
  expect(whole(i[0], [2 ** 24 + 2])).toBe("it counts to 16777217; the kernel's integers are exact to 2^24")
  expect(whole(i[0].mul(5000).add(i[1]), [5000, 5000])).toMatch(/it counts to/)
  expect(whole(i[0].mul(5000).add(i[1]).mod(7), [5000, 5000])).toMatch(/it counts to/)
  expect(whole(i[0].mul(4000).add(i[1]), [4000, 4000])).toBeUndefined()
  expect(whole(i[0].add(2 ** 24 + 1), [3])).toMatch(/it counts to/)
  const packed = {
    dtype: { kind: 'codec', name: 'odd', block: 32, bytes: 9, decode() {} },
    shape: [32],
    strides: [1],
    contiguous: true,
  } as const
  const sig = { inputs: [packed], outputs: [{ dtype: 'f32' as const, shape: [32] }], attrs: attrs(x[0].neg(), 1) }
  expect(mapKernel.why(sig, limits)).toBe('input 0 is packed as odd; the kernel reads plain elements')
})
