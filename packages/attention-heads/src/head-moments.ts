import { type Matrix, matmul, matrix } from '@attune/linalg'
import { decoded, type ParamValue } from '@attune/nn'

/** Second moments of a layer's inputs with a constant 1 appended, (dim + 1)². */
export interface Moments {
  readonly gram: Float64Array
  readonly dim: number
}

/** Σ yᵀy of a projection's outputs y over the calibration tokens, biases included (rows, rows). */
export async function momentsOf(param: ParamValue, moments: Moments): Promise<Matrix> {
  const w = await augmented(param, moments.dim)
  const out = matmul(throughGram(w, moments), w, { transB: true })
  const n = out.rows
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) out.data[i * n + j] = out.data[j * n + i] // exactly symmetric
  return out
}

/** Σ y² of each output of a projection (rows). */
export async function energiesOf(param: ParamValue, moments: Moments): Promise<Float64Array> {
  const w = await augmented(param, moments.dim)
  const p = throughGram(w, moments)
  const out = new Float64Array(w.rows)
  for (let r = 0; r < w.rows; r++) for (let i = r * w.cols; i < (r + 1) * w.cols; i++) out[r] += p.data[i] * w.data[i]
  return out
}

/** A square block of a moments matrix: rows of head `i`, columns of head `j`. */
export function block(m: Matrix, i: number, j: number, d: number): Matrix {
  const out = matrix(d, d)
  for (let r = 0; r < d; r++) out.data.set(m.data.subarray((i * d + r) * m.cols + j * d, (i * d + r) * m.cols + (j + 1) * d), r * d)
  return out
}

/** The blocks of several heads, in order (heads.length · d)². */
export function blocks(m: Matrix, heads: readonly number[], d: number): Matrix {
  const n = heads.length * d
  const out = matrix(n, n)
  heads.forEach((i, a) =>
    heads.forEach((j, b) => {
      for (let r = 0; r < d; r++) {
        const from = (i * d + r) * m.cols + j * d
        out.data.set(m.data.subarray(from, from + d), (a * d + r) * n + b * d)
      }
    }),
  )
  return out
}

/** Puts a block into a larger matrix, scaled. */
export function putBlock(to: Matrix, i: number, j: number, from: Matrix, scale = 1): void {
  for (let r = 0; r < from.rows; r++)
    for (let c = 0; c < from.cols; c++) to.data[(i * from.rows + r) * to.cols + j * from.cols + c] = scale * from.data[r * from.cols + c]
}

export const trace = (m: Matrix): number => {
  let t = 0
  for (let i = 0; i < m.rows; i++) t += m.data[i * m.cols + i]
  return t
}

const throughGram = (w: Matrix, { gram, dim }: Moments): Matrix => matmul(w, { rows: dim + 1, cols: dim + 1, data: gram })

async function augmented({ weight, bias }: ParamValue, dim: number): Promise<Matrix> {
  const [w, b] = [await decoded(weight), bias && (await decoded(bias))]
  const rows = weight.shape[0]
  const out = matrix(rows, dim + 1)
  for (let r = 0; r < rows; r++) {
    out.data.set(w.subarray(r * dim, (r + 1) * dim), r * (dim + 1))
    if (b) out.data[r * (dim + 1) + dim] = b[r]
  }
  return out
}
