import { readFileSync } from 'node:fs'
import { cpu } from '@attune/backend-cpu'
import { Constant, constantTensor, type Device, floatToHalf, grad, mapWith, q8_0, readAll, reference, sum, tensor } from '@attune/tensor'
import { poisoned } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { expectGradients } from '../../tensor/test/gradient.ts'
import { bytes, floats, values } from '../test/attend-oracle.ts'
import { linearOf } from './index.ts'

interface Case {
  readonly dtype: 'f32' | 'f16' | 'q8_0'
  readonly bias: boolean
  readonly bytes?: string
  readonly out: string
  readonly grads: Readonly<Record<'x' | 'w' | 'b', string>>
}
const cases: readonly Case[] = JSON.parse(readFileSync(new URL('../oracles/linear.json', import.meta.url), 'utf8'))
const title = (c: Case): string => `${c.dtype} weights${c.bias ? ', bias' : ''}`
const native = cpu({ threads: 2 })
afterAll(async () => (await native).close())
const devices: readonly (readonly [string, () => Promise<Device>])[] = [
  ['reference', async () => poisoned(reference())],
  ['CPU', async () => poisoned(await native)],
]

describe.each(devices)('linear is what PyTorch computes, on the %s device', (name, open) => {
  it.each(cases.map(c => [title(c), c] as const))('%s', async (_, c) => {
    const { x, w, b } = operands(c)
    const out = linearOf(x, w, b)
    const squares = mapWith((y, r) => y.mul(y).mul(r), [out, tensor(values([2, 3, 6], 4), [2, 3, 6])])
    const [gx, gw, gb] = grad(sum(sum(sum(squares))), [x, w, ...(b ? [b] : [])])
    const got = await readAll<string>({ out, x: gx, w: gw, ...(gb ? { b: gb } : {}) }, await open())
    // The kernel of packed weights keeps 16 bits of the activations per block of 32.
    const tolerance = c.dtype === 'q8_0' && name === 'CPU' ? 2e-5 : 2e-6
    close('out', got.out.data, floats(c.out), tolerance)
    for (const key of c.bias ? (['x', 'w', 'b'] as const) : (['x', 'w'] as const))
      close(`d/d ${key}`, got[key].data, floats(c.grads[key]), 4 * tolerance)
  })
})

describe('the gradients of linear', () => {
  it('are its differences', async () => {
    await expectGradients({ inputs: [{ shape: [3, 5] }, { shape: [4, 5] }, { shape: [4] }], f: (x, w, b) => linearOf(x, w, b) })
    await expectGradients({ inputs: [{ shape: [5] }, { shape: [4, 5] }], f: (x, w) => linearOf(x, w) })
  })
})

function operands({ dtype, bias, bytes: raw }: Case) {
  const data = values([6, 64], 2)
  const packed = raw ? bytes(raw) : new Uint8Array(dtype === 'f16' ? Uint16Array.from(data, floatToHalf).buffer : data.buffer)
  return {
    x: tensor(values([2, 3, 64], 1), [2, 3, 64]),
    w: constantTensor(new Constant(dtype === 'q8_0' ? q8_0 : dtype, [6, 64], packed)),
    b: bias ? tensor(values([6], 3)) : undefined,
  }
}

function close(name: string, got: ArrayLike<number>, want: Float32Array, tolerance: number): void {
  expect(got.length, name).toBe(want.length)
  const size = want.reduce((m, x) => Math.max(m, Math.abs(x)), 0)
  want.forEach((w, i) => {
    if (!(Math.abs(got[i] - w) <= tolerance * size)) expect(`${name}[${i}] ${got[i]}`).toBe(`${name}[${i}] ${w}`)
  })
}
