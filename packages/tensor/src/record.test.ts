import { describe, expect, it } from 'vitest'
import {
  copyOf,
  gatherRows,
  grad,
  input,
  length,
  mapWith,
  matmulOf,
  read,
  readAll,
  record,
  reference,
  scatterRows,
  state,
  sum,
  tensor,
  topkOf,
} from './index.ts'

const device = reference()

describe('record', () => {
  it('runs a graph with symbolic lengths and states, replayed', async () => {
    const n = length('n', 4)
    const x = input('x', 'f32', [n, 2])
    const rows = input('rows', 'i32', [n])
    const memory = state('memory', 'f32', [8, 2])
    const after = scatterRows(
      memory,
      rows,
      mapWith(a => a.mul(10), [x]),
    )
    const total = sum(after, 0)
    const rec = await record(device, { outputs: { total, back: gatherRows(after, rows) }, effects: [after] })
    const buffer = device.alloc(64)
    await rec.run({ lengths: { n: 2 }, inputs: { x: Float32Array.of(1, 2, 3, 4), rows: Int32Array.of(5, 0) }, states: { memory: buffer } })
    expect([...(await rec.read('total')).data]).toEqual([40, 60])
    await rec.run({ lengths: { n: 1 }, inputs: { x: Float32Array.of(1, 1), rows: Int32Array.of(3) }, states: { memory: buffer } })
    expect([...(await rec.read('total')).data]).toEqual([50, 70])
    expect((await rec.read('back')).shape).toEqual([1, 2])
    rec.dispose()
  })
  it('keeps strided views and casts right', async () => {
    const a = tensor([1, 2, 3, 4, 5, 6], [2, 3])
    const out = await readAll(
      { t: a.transpose(), s: a.slice(1, 1, 3), m: matmulOf(a, a.transpose()), h: copyOf(copyOf(a, 'f16'), 'f32') },
      device,
    )
    expect([...out.t.data]).toEqual([1, 4, 2, 5, 3, 6])
    expect([...out.s.data]).toEqual([2, 3, 5, 6])
    expect([...out.m.data]).toEqual([14, 32, 32, 77])
    expect([...out.h.data]).toEqual([1, 2, 3, 4, 5, 6])
  })
  it('orders topk and breaks ties by index', async () => {
    const { values, indices } = topkOf(tensor([3, 9, 9, 1], [1, 4]), 3)
    const out = await readAll({ values, indices }, device)
    expect([...out.values.data]).toEqual([9, 9, 3])
    expect([...out.indices.data]).toEqual([1, 2, 0])
  })
  it('differentiates through views, broadcasting and matmul', async () => {
    const w = tensor([1, 2, 3, 4], [2, 2])
    const b = tensor([0.5, -1], [2])
    const y = mapWith((p, q) => p.mul(p).add(q), [matmulOf(w.transpose(), w), b])
    const [gw, gb] = grad(sum(sum(y)), [w, b])
    const out = await readAll({ gw, gb }, device)
    expect([...out.gb.data]).toEqual([2, 2])
    // d/dw Σ (wᵀw)² = 4 w (wᵀw)
    expect([...out.gw.data]).toEqual([4 * (10 + 28), 4 * (14 + 40), 4 * (30 + 56), 4 * (42 + 80)])
  })
  it('refuses a length beyond its capacity and a missing input', async () => {
    const n = length('n', 4)
    const rec = await record(device, { outputs: { y: mapWith(a => a.add(1), [input('x', 'f32', [n])]) } })
    await expect(rec.run({ lengths: { n: 5 }, inputs: { x: new Float32Array(5) } })).rejects.toMatchObject({ code: 'ERR_SHAPE' })
    await expect(rec.run({ lengths: { n: 1 } })).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
  })
  it('reads', async () => expect((await read(tensor(3), device)).data[0]).toBe(3))
})
