import { expect } from 'vitest'
import { grad, input, mapWith, record, reference, sum, type Tensor, tensor } from '../src/index.ts'

export interface GradientCase {
  readonly inputs: readonly { readonly shape: readonly number[]; readonly data?: Float32Array }[]
  readonly f: (...x: Tensor[]) => Tensor
  /** Half the distance of the differences; smaller near corners. */
  readonly step?: number
  readonly tolerance?: number
}

/** Gradients of Σ r · f(inputs), r random, by `grad` on the reference device must equal central differences. */
export async function expectGradients({ inputs, f, step = 1 / 128, tolerance = 2e-3 }: GradientCase): Promise<void> {
  const device = reference()
  const data: Record<string, Float32Array> = {}
  const leaves = inputs.map(({ shape, data: given }, i) => {
    data[`x${i}`] = given ?? noise(shape, i + 1)
    return input(`x${i}`, 'f32', shape)
  })
  const out = f(...leaves)
  const shape = out.shape as readonly number[]
  let loss = mapWith((a, r) => a.mul(r), [out, tensor(noise(shape, 99), shape)])
  while (loss.rank > 0) loss = sum(loss)
  const gradients = grad(loss, leaves)
  const all = await record(device, { outputs: Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])) })
  await all.run({ inputs: data })
  const alone = await record(device, { outputs: { loss } })
  const at = async (): Promise<number> => {
    await alone.run({ inputs: data })
    return (await alone.read('loss')).data[0]
  }
  for (const [i] of inputs.entries()) {
    const got = await all.read(`g${i}`)
    const x = data[`x${i}`]
    const want = new Float32Array(x.length)
    for (let j = 0; j < x.length; j++) {
      const own = x[j]
      const [up, down] = [Math.fround(own + step), Math.fround(own - step)]
      x[j] = up
      const high = await at()
      x[j] = down
      want[j] = (high - (await at())) / (up - down)
      x[j] = own
    }
    expect(got.shape).toEqual(inputs[i].shape)
    const size = want.reduce((m, v) => Math.max(m, Math.abs(v)), 1)
    want.forEach((v, j) => {
      if (!(Math.abs(got.data[j] - v) <= tolerance * size)) expect(`input ${i}[${j}]: ${got.data[j]}`).toBe(`input ${i}[${j}]: ${v}`)
    })
  }
}

/** Reproducible numbers in [-1, 1), well apart from each other. */
export function noise(shape: readonly number[], seed: number): Float32Array {
  const n = shape.reduce((a, b) => a * b, 1)
  const order = Array.from({ length: n }, (_, i) => i)
  let s = seed
  for (let i = n - 1; i > 0; i--) {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0
    const j = s % (i + 1)
    ;[order[i], order[j]] = [order[j], order[i]]
  }
  return Float32Array.from(order, k => ((k + 0.5) / n) * 2 - 1)
}
