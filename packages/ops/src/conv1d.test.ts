import { length, read, readAll, reference, type Tensor, tensor } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { expectGradients, noise } from '../../tensor/test/gradient.ts'
import { conv1dOf } from './index.ts'

const device = reference()
const [channels, taps] = [3, 4]
const weight = noise([channels, taps], 2)
const bias = noise([channels], 3)

/** The definition for one sequence: inputs (T, C) from its start. */
function plain(x: Float32Array): number[] {
  return Array.from(x, (_, at) => {
    const [t, c] = [Math.floor(at / channels), at % channels]
    let y = bias[c]
    for (let k = 0; k < taps; k++) {
      const source = t - taps + 1 + k
      if (source >= 0) y += weight[c * taps + k] * x[source * channels + c]
    }
    return y
  })
}
const run = async (x: Float32Array, tail: Float32Array, offsets: number[]) => {
  const b = offsets.length - 1
  const n = x.length / channels
  const t = (data: Float32Array, shape: number[]): Tensor => tensor(data, shape)
  const { out, tail: next } = conv1dOf({
    x: t(x, [n, channels]),
    weight: t(weight, [channels, taps]),
    tail: t(tail, [b, taps - 1, channels]),
    offsets: tensor(offsets, [b + 1], 'i32'),
    bias: t(bias, [channels]),
  })
  const r = await readAll({ out, next }, device)
  return { out: [...r.out.data], tail: r.next.data as Float32Array }
}
const near = (have: number[], want: number[]) => have.forEach((x, i) => void expect(x).toBeCloseTo(want[i], 6))

describe('conv1d', () => {
  const x = noise([11, channels], 7)
  const empty = new Float32Array((taps - 1) * channels)
  it('is the convolution of a sequence', async () => near((await run(x, empty, [0, 11])).out, plain(x)))
  it.each([1, 2, 3, 5])('gives the same in chunks of %i', async size => {
    const out: number[] = []
    let tail: Float32Array = empty
    for (let t = 0; t < 11; t += size) {
      const part = x.slice(t * channels, (t + size) * channels)
      const r = await run(part, tail, [0, part.length / channels])
      out.push(...r.out)
      tail = r.tail
    }
    near(out, plain(x))
    expect([...tail]).toEqual([...x.slice(-tail.length)])
  })
  it('keeps packed rows apart, empty ones too', async () => {
    const y = noise([2, channels], 9)
    const both = Float32Array.from([...x, ...y])
    const old = noise([3, taps - 1, channels], 8)
    const r = await run(both, old, [0, 11, 11, 13])
    const each = taps - 1
    const first = await run(x, old.slice(0, each * channels), [0, 11])
    const last = await run(y, old.slice(2 * each * channels), [0, 2])
    expect(r.out).toEqual([...first.out, ...last.out])
    expect([...r.tail]).toEqual([...first.tail, ...old.slice(each * channels, 2 * each * channels), ...last.tail])
  })
  it('runs with no token at all', async () => {
    const n = length('n', 4)
    const { tail } = conv1dOf({
      x: tensor(noise([4, channels], 1), [4, channels]).view([n, channels], [channels, 1]),
      weight: tensor(weight, [channels, taps]),
      tail: tensor(noise([1, 3, channels], 2), [1, 3, channels]),
      offsets: tensor([0, 0], [2], 'i32'),
    })
    expect([...(await read(tail, device, { lengths: { n: 0 } })).data]).toEqual([...noise([1, 3, channels], 2)])
  })
  it('has gradients, through the tail as well', async () => {
    const inputs = [{ shape: [5, channels] }, { shape: [channels, taps] }, { shape: [2, taps - 1, channels] }, { shape: [channels] }]
    const offsets = tensor([0, 2, 5], [3], 'i32')
    const both = (v: Tensor, w: Tensor, t: Tensor, b: Tensor) => conv1dOf({ x: v, weight: w, tail: t, offsets, bias: b })
    await expectGradients({ inputs, f: (v, w, t, b) => both(v, w, t, b).out })
    await expectGradients({ inputs, f: (v, w, t, b) => both(v, w, t, b).tail })
  })
  it('refuses a tail of another length', () => {
    expect(() =>
      conv1dOf({
        x: tensor(x, [11, channels]),
        weight: tensor(weight, [channels, taps]),
        tail: tensor(empty.slice(3), [1, 2, channels]),
        offsets: tensor([0, 11], [2], 'i32'),
      }),
    ).toThrow('conv1d of x (11, 3) with weight (3, 4) and tail (1, 2, 3)')
  })
})
