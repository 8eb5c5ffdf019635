import { gatherRows, mapWith, sum, type Tensor } from '@attune/tensor'

/** Where tokens stand in a learned table: each is a weighted sum of `width` rows. */
export interface TablePositions {
  readonly width: number
  /** Rows of the table (N, width). */
  readonly at: Int32Array
  /** Their weights (N, width). */
  readonly weight: Float32Array
}

/** Σ weight · row of a learned table: table (R, dim), at (N, J) i32, weight (N, J) f32 → (N, dim). One row of weight 1 is plain lookup. */
export const learnedPositions = (table: Tensor, at: Tensor, weight: Tensor): Tensor =>
  sum(
    mapWith((x, w) => x.mul(w), [gatherRows(table, at), weight.unsqueeze(2)]), // (N, J, dim)
    1,
  )

/** Consecutive rows from `first` on. */
export const rowsFrom = (first: number, count: number): TablePositions => ({
  width: 1,
  at: Int32Array.from({ length: count }, (_, i) => first + i),
  weight: new Float32Array(count).fill(1),
})

/** Rows and columns of a grid. */
export type GridSize = readonly [rows: number, columns: number]

/**
 * Places (y, x) of a grid of `size` in a table that was learned for another grid, its rows in reading order from `first` on. Between
 * learned places the table is read by bicubic interpolation, as `torch.nn.functional.interpolate` does without aligned corners.
 */
export function gridPositions(learned: GridSize, size: GridSize, first = 0): TablePositions {
  if (learned[0] === size[0] && learned[1] === size[1]) return rowsFrom(first, size[0] * size[1])
  const [ys, xs] = [0, 1].map(axis => cubicTaps(learned[axis], size[axis]))
  const width = TAPS * TAPS
  const at = new Int32Array(ys.length * xs.length * width)
  const weight = new Float32Array(at.length)
  let i = 0
  for (const y of ys)
    for (const x of xs)
      for (let a = 0; a < TAPS; a++)
        for (let b = 0; b < TAPS; b++, i++) {
          at[i] = first + y.at[a] * learned[1] + x.at[b]
          weight[i] = y.weight[a] * x.weight[b]
        }
  return { width, at, weight }
}

/** The same places with `width` rows each; those added weigh nothing. */
export function widened({ width: own, at, weight }: TablePositions, width: number): TablePositions {
  const count = at.length / own
  const out = { width, at: new Int32Array(count * width), weight: new Float32Array(count * width) }
  for (let i = 0; i < count; i++) {
    out.at.set(at.subarray(i * own, (i + 1) * own), i * width)
    out.weight.set(weight.subarray(i * own, (i + 1) * own), i * width)
  }
  return out
}

const TAPS = 4
/** PyTorch's cubic. Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711 */
const A = -0.75
const near = (t: number): number => ((A + 2) * t - (A + 3)) * t * t + 1
const far = (t: number): number => ((A * t - 5 * A) * t + 8 * A) * t - 4 * A

/** Four neighbours and their weights for each of `to` places along an axis of `from`; the edge repeats. */
function cubicTaps(from: number, to: number): { readonly at: readonly number[]; readonly weight: readonly number[] }[] {
  return Array.from({ length: to }, (_, i) => {
    const place = ((i + 0.5) * from) / to - 0.5
    const below = Math.floor(place)
    const t = place - below
    return {
      at: [-1, 0, 1, 2].map(d => Math.min(from - 1, Math.max(0, below + d))),
      weight: [far(t + 1), near(t), near(1 - t), far(2 - t)],
    }
  })
}
