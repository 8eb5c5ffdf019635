import { type Matrix, matmul, matrix } from '@attune/linalg'
import { decoded, type ParamValue } from '@attune/nn'

/** Rows of several linear maps on top of each other, each with its bias (or 0) as a last column: (Σ rows, dim + 1). */
export async function stackedRows(params: readonly ParamValue[], dim: number): Promise<Matrix> {
  const out = matrix(
    params.reduce((n, p) => n + p.weight.shape[0], 0),
    dim + 1,
  )
  let row = 0
  for (const { weight, bias } of params) {
    const [w, b] = [await decoded(weight), bias && (await decoded(bias))]
    for (let r = 0; r < weight.shape[0]; r++, row++) {
      out.data.set(w.subarray(r * dim, (r + 1) * dim), row * (dim + 1))
      if (b) out.data[row * (dim + 1) + dim] = b[r]
    }
  }
  return out
}

/** Σ yᵀy of the outputs y of maps with these rows over the tokens whose inputs have the second moments `gram`. */
export const outputMoments = (rows: Matrix, gram: Float64Array): Matrix =>
  symmetric(matmul(matmul(rows, { rows: rows.cols, cols: rows.cols, data: gram }), rows, { transB: true }))

/** Σ y² of each of these outputs. */
export function outputEnergies(rows: Matrix, gram: Float64Array): Float64Array {
  const through = matmul(rows, { rows: rows.cols, cols: rows.cols, data: gram })
  const out = new Float64Array(rows.rows)
  for (let i = 0; i < rows.data.length; i++) out[Math.floor(i / rows.cols)] += through.data[i] * rows.data[i]
  return out
}

/** m · c · mᵀ */
export const moved = (m: Matrix, c: Matrix): Matrix => symmetric(matmul(matmul(m, c), m, { transB: true }))

function symmetric(m: Matrix): Matrix {
  const n = m.rows
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) m.data[i * n + j] = m.data[j * n + i]
  return m
}

export const trace = (m: Matrix): number => {
  let t = 0
  for (let i = 0; i < m.rows; i++) t += m.data[i * m.cols + i]
  return t
}
