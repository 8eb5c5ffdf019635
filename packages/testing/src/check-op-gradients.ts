import { type Device, grad, isFloat, mapWith, reference, sum, type Tensor } from '@attune/tensor'
import { expect } from 'vitest'
import { nmse } from './drive.ts'
import type { OpCase } from './op-cases.ts'
import { poisoned } from './poison.ts'
import { randomSource } from './random.ts'
import { runOn } from './run-on.ts'

interface BuiltCase {
  readonly case: OpCase
  readonly outputs: Readonly<Record<string, Tensor>>
  readonly lengths: Readonly<Record<string, number>>
  readonly inputs: Record<string, Float32Array | Int32Array>
  readonly differentiable: Readonly<Record<string, Tensor>>
}

const STEP = 1 / 64

/** Gradients of Σ sin(out + 1) over a case's f32 outputs: the device's equal the reference's, which equal central differences. */
export async function checkOpGradients(device: Device, { case: c, outputs, lengths, inputs, differentiable }: BuiltCase): Promise<void> {
  const loss = lossOf(outputs)
  const names = Object.keys(differentiable)
  const gradients = Object.fromEntries(grad(loss, Object.values(differentiable)).map((g, i) => [names[i], g]))
  const want = await runOn(reference(), gradients, lengths, inputs)
  const got = await runOn(poisoned(device), gradients, lengths, inputs)
  const at = async (name: string, index: number, by: number): Promise<number> => {
    const moved = inputs[name].slice()
    moved[index] += by
    return (await runOn(reference(), { loss }, lengths, { ...inputs, [name]: moved })).loss.data[0]
  }
  const r = randomSource(3)
  for (const name of names) {
    const own = want[name].data as Float32Array
    expect(nmse(got[name].data, own), `${c.name}: gradient by ${name}`).toBeLessThanOrEqual(Math.max(1e-9, 10 * (c.bound ?? 0)))
    const size = own.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-3)
    const index = r.integer(own.length)
    const slope = ((await at(name, index, STEP)) - (await at(name, index, -STEP))) / (2 * STEP)
    expect(Math.abs(own[index] - slope), `${c.name}: d/d ${name}[${index}], ${own[index]} against ${slope}`).toBeLessThan(1e-2 * size)
  }
}

function lossOf(outputs: Readonly<Record<string, Tensor>>): Tensor {
  const parts = Object.values(outputs).flatMap(t => {
    if (!isFloat(t.dtype)) return []
    let total = mapWith(x => x.add(1).sin(), [t])
    while (total.rank > 0) total = sum(total)
    return [total]
  })
  return parts.reduce((a, b) => mapWith((x, y) => x.add(y), [a, b]))
}
