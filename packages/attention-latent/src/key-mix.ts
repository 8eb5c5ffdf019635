import { type ComplexMatrix, eigh, eighHermitian, type Matrix, matrix } from '@attune/linalg'
import { type Pair, type Rotary, rotaryPairs, stillDims } from './rotary-pairs.ts'

/** Keys of all heads (kvHeads · d) in another orthonormal basis: components that stay under rotary positions, and the rest. */
export interface KeyMix {
  /** (turned, kvHeads · d): two rows, real and imaginary, per component. */
  readonly turned: Matrix
  /** Frequency of each turned component. */
  readonly pairs: readonly number[]
  /** (others, kvHeads · d) */
  readonly still: Matrix
  /** Of the rows of `still`, those whose rotation was given up. */
  readonly stopped: number
  /** Share of the rotated keys' energy that stays rotated. */
  readonly kept: number
  /** Share of it that turns as it did, over distances of 1 to 1,024 tokens: less what was stopped and what turns at a neighbour's frequency. */
  readonly faithful?: number
}

export interface KeyMixOptions {
  readonly kvHeads: number
  readonly headDim: number
  readonly rotary?: Rotary
  /** Components that stay rotated; a multiple of the number of blocks. */
  readonly components: number
  /** Neighbouring frequencies that are taken for one (FreqFold); 1: none. */
  readonly fold: number
  /** Mixing by real orthogonal matrices (RoRoPE) or complex unitary ones, which hold more: both commute with rotation. */
  readonly mixing: 'real' | 'complex'
  /** Angle a token of each pair; with it the mix says how faithful it is. */
  readonly frequencies?: ArrayLike<number>
}

/**
 * RoRoPE: within each block of `fold` frequencies the complex key components of all heads are mixed so that most energy lies in the
 * first few, which stay rotated. Any complex-linear map of components of one frequency commutes with rotary positions, so with fold 1 and
 * all components kept nothing changes. `keys` (kvHeads · d)² are the keys' second moments before rotation. TransMLA, Meng et al. 2025,
 * https://arxiv.org/abs/2502.07864; complex mixing is ours.
 */
export function mixKeys(keys: Matrix, { kvHeads, headDim: d, rotary, components, fold, mixing, frequencies }: KeyMixOptions): KeyMix {
  const all = rotary ? rotaryPairs(rotary) : []
  const blocks = all.length / fold
  const each = blocks > 0 ? components / blocks : 0
  const turned: Float64Array[] = []
  const stopped: Float64Array[] = []
  const pairs: number[] = []
  let [kept, total, faithful] = [0, 0, 0]
  for (let b = 0; b < blocks; b++) {
    const channels = Array.from({ length: kvHeads }, (_, g) =>
      all.slice(b * fold, (b + 1) * fold).map(([x, y]): Pair => [g * d + x, g * d + y]),
    ).flat()
    const { values, vectors } = principal(channelMoments(keys, channels), mixing)
    for (let m = 0; m < channels.length; m++) {
      const rows = m < each ? turned : stopped
      rows.push(...componentRows(vectors, m, channels, keys.rows))
      const energy = Math.max(0, values[m])
      const at = m < each ? b * fold + (each < fold ? Math.floor((m * fold) / each) : m % fold) : undefined
      total += energy
      if (frequencies) faithful += energy * likeness(vectors, m, b * fold, fold, frequencies, at === undefined ? 0 : frequencies[at])
      if (at === undefined) continue
      kept += energy
      pairs.push(at)
    }
  }
  const untouched = Array.from({ length: kvHeads }, (_, g) => stillDims(d, rotary).map(i => unit(keys.rows, g * d + i))).flat()
  const still = [...stopped, ...untouched]
  return {
    turned: rowsOf(turned, keys.rows),
    pairs,
    still: rowsOf(still, keys.rows),
    stopped: stopped.length,
    kept: total > 0 ? kept / total : 1,
    ...(frequencies && { faithful: total > 0 ? faithful / total : 1 }),
  }
}

const DISTANCES = Array.from({ length: 41 }, (_, i) => 2 ** (i / 4))
/** How alike component `m` turns at `frequency` to how its channels do, `fold` frequencies of each head from `first` on: 1 for the same, by the mean cosine of what is between them. */
function likeness(
  { re, im }: ComplexMatrix,
  m: number,
  first: number,
  fold: number,
  frequencies: ArrayLike<number>,
  frequency: number,
): number {
  let sum = 0
  for (let f = 0; f < fold; f++) {
    let weight = 0
    for (let i = f; i < re.rows; i += fold) weight += re.data[i * re.cols + m] ** 2 + im.data[i * im.cols + m] ** 2
    const apart = frequencies[first + f] - frequency
    sum += (weight * DISTANCES.reduce((n, x) => n + Math.cos(apart * x), 0)) / DISTANCES.length
  }
  return sum
}

/** Σ z zᴴ of complex components given by their two dimensions. */
function channelMoments(m: Matrix, channels: readonly Pair[]): ComplexMatrix {
  const n = channels.length
  const out = { re: matrix(n, n), im: matrix(n, n) }
  const at = (i: number, j: number) => m.data[i * m.cols + j]
  channels.forEach(([a, b], r) =>
    channels.forEach(([x, y], c) => {
      out.re.data[r * n + c] = at(a, x) + at(b, y)
      out.im.data[r * n + c] = at(b, x) - at(a, y)
    }),
  )
  return out
}

function principal(moments: ComplexMatrix, mixing: 'real' | 'complex'): { values: Float64Array; vectors: ComplexMatrix } {
  if (mixing === 'complex') return eighHermitian(moments)
  const { values, vectors } = eigh(moments.re)
  return { values, vectors: { re: vectors, im: matrix(vectors.rows, vectors.cols) } }
}

/** Rows that give the real and imaginary part of Σ conj(v) z for column `m` of the vectors. */
function componentRows({ re, im }: ComplexMatrix, m: number, channels: readonly Pair[], width: number): [Float64Array, Float64Array] {
  const [real, imaginary] = [new Float64Array(width), new Float64Array(width)]
  channels.forEach(([a, b], i) => {
    const [x, y] = [re.data[i * re.cols + m], im.data[i * im.cols + m]]
    real[a] = imaginary[b] = x
    real[b] = y
    imaginary[a] = -y
  })
  return [real, imaginary]
}

const unit = (n: number, at: number): Float64Array => {
  const row = new Float64Array(n)
  row[at] = 1
  return row
}
function rowsOf(rows: readonly Float64Array[], cols: number): Matrix {
  const out = matrix(rows.length, cols)
  rows.forEach((row, i) => void out.data.set(row, i * cols))
  return out
}
