import { read, reference, tensor } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { expectGradients, noise } from '../../tensor/test/gradient.ts'
import { type RopeAttrs, ropeOf } from './index.ts'

const device = reference()
const f32 = Math.fround

/** The definition, in loops. */
function turned(
  x: Float32Array,
  [n, h, d]: number[],
  positions: number[],
  frequencies: Float32Array,
  { pairing, factor }: RopeAttrs,
): number[] {
  const out = [...x]
  const f = frequencies.length
  for (let row = 0; row < n * h; row++)
    for (let i = 0; i < f; i++) {
      const angle = f32(positions[Math.floor(row / h)] * frequencies[i])
      const [a, b] = pairing === 'half' ? [row * d + i, row * d + i + f] : [row * d + 2 * i, row * d + 2 * i + 1]
      out[a] = factor * (x[a] * Math.cos(angle) - x[b] * Math.sin(angle))
      out[b] = factor * (x[b] * Math.cos(angle) + x[a] * Math.sin(angle))
    }
  return out
}

describe('rope', () => {
  for (const pairing of ['half', 'interleaved'] as const)
    for (const [d, f, factor] of [
      [8, 4, 1],
      [10, 3, 1.25],
    ])
      it(`turns ${2 * f} of ${d} numbers, ${pairing}`, async () => {
        const x = noise([3, 2, d], 4)
        const positions = [0, 7, 100_000]
        const frequencies = Float32Array.from({ length: f }, (_, i) => 10_000 ** (-i / f))
        const attrs = { pairing, factor }
        const got = await read(ropeOf(tensor(x, [3, 2, d]), tensor(positions, [3], 'i32'), tensor(frequencies), attrs), device)
        const want = turned(x, [3, 2, d], positions, frequencies, attrs)
        got.data.forEach((v, i) => void expect(v).toBeCloseTo(want[i], 6))
        await expectGradients({
          inputs: [{ shape: [3, 2, d] }],
          f: v => ropeOf(v, tensor(positions, [3], 'i32'), tensor(frequencies), attrs),
        })
      })
  it('refuses more frequencies than half the width', () => {
    expect(() => ropeOf(tensor(noise([4], 1), [1, 1, 4]), tensor([0], [1], 'i32'), tensor([1, 1, 1]))).toThrow('rope of x (1, 1, 4)')
  })
})
