import { type ComplexMatrix, type Matrix, matrix } from '@attune/linalg'
import type { Rotary } from './bridge-parts.ts'

/** Dimensions (a, b) of a head that turn together, read as the complex number a + ib. What is not rotated is paired in order. */
export type Pairs = readonly (readonly [number, number])[]

/** Multiplying a pair by a complex number commutes with turning it, so only such changes of keys survive rotary positions. */
export function rotaryPairs(d: number, { dims, pairing }: Rotary): Pairs {
  const f = dims / 2
  const turned = Array.from({ length: f }, (_, i) => (pairing === 'half' ? [i, i + f] : [2 * i, 2 * i + 1]) as [number, number])
  const still = Array.from({ length: (d - dims) / 2 }, (_, i) => [dims + 2 * i, dims + 2 * i + 1] as [number, number])
  return [...turned, ...still]
}

/** The real matrix (d, d) that multiplies pair f by re[f] + i·im[f]. */
export function complexScale(pairs: Pairs, re: ArrayLike<number>, im: ArrayLike<number>): Matrix {
  const d = pairs.length * 2
  const out = matrix(d, d)
  pairs.forEach(([a, b], f) => {
    out.data[a * d + a] = out.data[b * d + b] = re[f]
    out.data[a * d + b] = -im[f]
    out.data[b * d + a] = im[f]
  })
  return out
}

/** Σ z zᴴ over heads of pair f, from the moments of the keys: entry (i, j) = Σ z_i conj(z_j). */
export function pairMoments(m: Matrix, heads: readonly number[], d: number, [a, b]: Pairs[number]): ComplexMatrix {
  const t = heads.length
  const out = { re: matrix(t, t), im: matrix(t, t) }
  const at = (i: number, x: number, j: number, y: number) => m.data[(i * d + x) * m.cols + j * d + y]
  heads.forEach((i, r) =>
    heads.forEach((j, c) => {
      out.re.data[r * t + c] = at(i, a, j, a) + at(i, b, j, b)
      out.im.data[r * t + c] = at(i, b, j, a) - at(i, a, j, b)
    }),
  )
  return out
}
