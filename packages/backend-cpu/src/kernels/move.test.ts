import { type Kernel, length, q4_0, q4_1, q8_0, type Storage } from '@attune/tensor'
import { expect, it } from 'vitest'
import { expectReference, f32s, i32s, integers, numbers, onEveryBuild, stored } from '../../test/against-reference.ts'
import { type PlanInput, runPlan } from '../../test/run-plan.ts'
import { copyStrided } from './copy.ts'
import { gatherKernel, scatterKernel } from './gather.ts'

const plain: Storage[] = ['f32', 'f16', 'bf16', 'i32', 'u8', 'bool']
const codecs = [q8_0, q4_0, q4_1]
const values = (n: number, seed = 1) => numbers(n, seed, 90)

onEveryBuild(open => {
  it('copies between every pair of types', async () => {
    const device = await open()
    for (const from of [...plain, ...codecs])
      for (const to of [...plain, ...codecs]) {
        const data = from === 'u8' || to === 'u8' ? values(320).map(Math.abs) : values(320)
        await expectReference(device, copyStrided, { inputs: [await stored(from, [5, 64], data)], attrs: { dtype: to } })
      }
  })
  it.each([0, 1, 63, 64, 65])('copies strided and offset views of %i rows', async rows => {
    const t = length('t', 70)
    const lengths = new Map([[t, rows]])
    const device = await open()
    const data = values(70 * 5 * 67)
    const views: Omit<PlanInput, 'data' | 'dtype'>[] = [
      { shape: [t, 5, 67] },
      { shape: [5, t, 67], strides: [67, 335, 1] },
      { shape: [67, 5, t], strides: [1, 67, 335] },
      { shape: [t, 3, 31], strides: [335, 67, 2], offset: 69 },
      { shape: [3, t, 2], strides: [0, 335, 1], offset: 1 },
    ]
    for (const v of views)
      for (const dtype of ['f32', 'f16'] as const)
        await expectReference(device, copyStrided, {
          inputs: [{ ...(await stored(dtype, [], data)), ...v }],
          attrs: { dtype: 'f32' },
          lengths,
        })
    const packed = await stored(q8_0, [], values(70 * 2 * 64))
    await expectReference(device, copyStrided, {
      inputs: [{ ...packed, shape: [2, t, 64], strides: [64, 128, 1] }],
      attrs: { dtype: 'f32' },
      lengths,
    })
    await expectReference(device, copyStrided, {
      inputs: [{ ...packed, shape: [t, 32], strides: [128, 1], offset: 32 }],
      attrs: { dtype: q8_0 },
      lengths,
    })
  })
  it.each([0, 1, 63, 64, 65])('gathers %i rows', async rows => {
    const t = length('t', 70)
    const device = await open()
    const index = i32s(
      [t],
      integers(70, 12, 2).map(v => v - 1),
    )
    const lengths = new Map([[t, rows]])
    for (const dtype of [...plain, ...codecs])
      await expectReference(device, gatherKernel, {
        inputs: [await stored(dtype, [11, 96], values(11 * 96).map(Math.abs)), index],
        attrs: null,
        lengths,
      })
    const x = f32s([11, 7, 13])
    const pairs = { ...i32s([t, 2], integers(140, 11, 3)) }
    const across = { ...pairs, shape: [2, t], strides: [1, 2] }
    for (const inputs of [
      [x, pairs],
      [x, across],
      [
        { ...x, shape: [13, 11, 7], strides: [1, 91, 13] },
        { ...index, data: integers(70, 13, 4) },
      ],
      [{ ...x, shape: [11, 5], strides: [91, 1], offset: 8 }, pairs],
      [f32s([11]), pairs],
    ])
      await expectReference(device, gatherKernel, { inputs, attrs: null, lengths })
  })
  it('clamps an index out of range and finds nothing in an empty table', async () => {
    const device = await open()
    const r = length('r', 4)
    const x = { ...f32s([4, 3]), shape: [r, 3] }
    const index = i32s([3], [9, -7, -1])
    const [some] = await runPlan(device, gatherKernel, { inputs: [x, index], attrs: null, lengths: new Map([[r, 2]]) })
    expect([...some.data]).toEqual([...(x.data as Float32Array).slice(3, 6), ...(x.data as Float32Array).slice(0, 3), 0, 0, 0])
    const [none] = await runPlan(device, gatherKernel, { inputs: [x, index], attrs: null, lengths: new Map([[r, 0]]) })
    expect([...none.data]).toEqual(new Array(9).fill(0))
  })
  it.each([0, 1, 63, 64, 65])('scatters %i rows, equal indices in order', async rows => {
    const t = length('t', 70)
    const device = await open()
    const index = i32s(
      [t],
      integers(70, 12, 2).map(v => v - 1),
    )
    const lengths = new Map([[t, rows]])
    const from = { ...f32s([70, 192], 5), shape: [t, 192] }
    const test = async (x: PlanInput, rows: PlanInput, mode: string) =>
      expectReference(
        device,
        scatterKernel as Kernel,
        { inputs: [{ ...x, data: (x.data as Uint8Array).slice() }, index, rows], attrs: { mode }, lengths },
        { relative: 2e-7 },
      )
    for (const dtype of ['f32', 'f16', 'bf16', q8_0] as const) {
      const x = await stored(dtype, [11, 192], values(11 * 192))
      await test(x, from, 'set')
      await test(x, { ...from, strides: [1, 70] }, 'set')
    }
    await test(await stored('f32', [11, 192], values(11 * 192)), from, 'add')
    await test(await stored('f32', [11, 192], values(11 * 192)), await stored('f16', [t, 192], values(70 * 192)), 'set')
    await test(await stored('i32', [11, 192], values(11 * 192)), { ...from, dtype: 'i32', data: integers(70 * 192, 1000) }, 'add')
  })
  it('scatters into heads of rows and leaves the rest alone', async () => {
    const device = await open()
    const x = f32s([5 * 3, 7])
    const index = i32s([2, 3], [3, 14, 0, -1, 99, 5])
    const rows = f32s([2, 3, 7], 2)
    const [out] = await runPlan(device, scatterKernel as Kernel, {
      inputs: [{ ...x, data: (x.data as Float32Array).slice() }, index, rows],
      attrs: { mode: 'set' },
    })
    const want = (x.data as Float32Array).slice()
    const flat = rows.data as Float32Array
    ;[3, 14, 0, -1, -1, 5].forEach((row, i) => row >= 0 && want.set(flat.subarray(i * 7, i * 7 + 7), row * 7))
    expect(out.data).toEqual(want)
  })
})

it('refuses what it cannot do', async () => {
  const limits = { maxBufferBytes: 1, maxBindings: 32, features: new Set<string>(), threads: 1 }
  const packed = { dtype: q8_0, shape: [4, 16], strides: [32, 1], contiguous: false }
  expect(copyStrided.why({ inputs: [packed], outputs: [{ dtype: 'f32', shape: [4, 16] }], attrs: { dtype: 'f32' } }, limits)).toBe(
    'the input is a view that cuts blocks of q8_0',
  )
})
