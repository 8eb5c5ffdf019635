import { cpu } from '@attune/backend-cpu'
import { type Device, grad, type Op, read, readAll, record, reference, type Tensor } from '@attune/tensor'
import { poisoned } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { build, floats, oracleCases } from '../test/attend-oracle.ts'
import { attend } from './index.ts'

const native = cpu({ threads: 2 })
afterAll(async () => (await native).close())
const devices: readonly (readonly [string, () => Promise<Device>])[] = [
  ['reference', async () => poisoned(reference())],
  ['CPU', async () => poisoned(await native)],
  ['CPU without its kernel', async () => without(attend, poisoned(await native))],
]
const without = (op: Op, device: Device): Device =>
  Object.assign(Object.create(device) as Device, { kernels: device.kernels.filter(x => x.op !== op) })
const withGrads = oracleCases.filter(c => c.grads).map(c => [c.name, c] as const)

describe.each(devices)('attend is what PyTorch computes, on the %s device', (_name, open) => {
  it.each(oracleCases.map(c => [c.name, c] as const))('%s', async (_, c) => {
    const { out, lse, mass } = build(c).result
    const wanted: [string, Tensor, string][] = [['out', out, c.out]]
    if (c.lse) wanted.push(['lse', lse!, c.lseOut!])
    if (c.mass) wanted.push(['mass', mass!, c.massOut!])
    const got = await readAll(Object.fromEntries(wanted.map(([name, t]) => [name, t])), await open())
    for (const [name, , want] of wanted) close(name, got[name].data, floats(want))
  })
})

describe('attend on the CPU', () => {
  it('is one fused kernel wherever no reason is given', async () => {
    for (const c of oracleCases) {
      const r = await record(await native, { outputs: { out: build(c).result.out } })
      const choice = r.choices.find(x => x.op === 'attend')!
      expect(choice.by, `${c.name}: ${JSON.stringify(choice.refused)}`).toBe('attend')
      r.dispose()
      r.arena.dispose()
    }
  })
})

describe.each(devices)('PyTorch finds the same gradients of attend, on the %s device', (_name, open) => {
  it.each(withGrads)('%s', async (_, c) => {
    const { operands, loss } = build(c)
    const wrt = Object.keys(c.grads!)
    const made = grad(
      loss(),
      wrt.map(name => operands[name]),
    )
    const got = await readAll(Object.fromEntries(wrt.map((name, i) => [name, made[i]])), await open())
    for (const name of wrt) close(name, got[name].data, floats(c.grads![name]), 5e-6)
  })
})

describe.each(devices.slice(0, 2))('the gradients of attend are its differences, on the %s device', (_name, open) => {
  it.each(withGrads)('%s', async (_, c) => {
    const device = await open()
    const { operands, loss } = build(c)
    const names = Object.keys(c.grads!)
    const made = grad(
      loss(),
      names.map(name => operands[name]),
    )
    const got = await readAll(Object.fromEntries(names.map((name, i) => [name, made[i]])), device)
    const at = async (name: string, index: number, by: number): Promise<number> =>
      (
        await read(
          build(c, (which, data) => {
            if (which === name) data[index] += by
          }).loss(),
          device,
        )
      ).data[0]
    const step = 1 / 64
    for (const name of names) {
      const largest = (got[name].data as Float32Array).reduce((m, x) => Math.max(m, Math.abs(x)), 0)
      for (const part of [0.2, 0.6]) {
        const own = (got[name].data as Float32Array).findIndex((x, i) => i >= part * got[name].data.length && x !== 0)
        if (own < 0) continue
        const slope = ((await at(name, own, step)) - (await at(name, own, -step))) / (2 * step)
        expect(Math.abs(got[name].data[own] - slope), `d/d ${name}[${own}]: ${slope}`).toBeLessThan(2e-3 * Math.max(1, largest))
      }
    }
  })
})

describe('attend', () => {
  it('refuses what sigmoid weights do not have', () => {
    const c = oracleCases.find(x => x.weigh === 'sigmoid')!
    expect(() => build({ ...c, lse: true })).toThrow(/no lse/)
    expect(() => build({ ...c, sink: true })).toThrow(/no sink/)
  })
})

function close(name: string, got: ArrayLike<number>, want: Float32Array, tolerance = 2e-6): void {
  expect(got.length, name).toBe(want.length)
  want.forEach((w, i) => {
    if (!(Math.abs(got[i] - w) <= tolerance * Math.max(1, Math.abs(w)))) expect(`${name}[${i}] ${got[i]}`).toBe(`${name}[${i}] ${w}`)
  })
}
