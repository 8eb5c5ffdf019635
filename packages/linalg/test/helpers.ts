import { readFileSync } from 'node:fs'
import { type ComplexMatrix, complexMatmul, identity, type Matrix, matmul, matrix, transpose } from '../src/index.ts'

/** Results of oracles/make.py (numpy and scipy, i.e. LAPACK). */
export const oracle = JSON.parse(readFileSync(new URL('../oracles/lapack.json', import.meta.url), 'utf8'))

/** A matrix of a formula. */
export const build = (rows: number, cols: number, at: (i: number, j: number) => number): Matrix =>
  matrix(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, (_, k) => at(Math.floor(k / cols), k % cols)),
  )

/** Generic entries in [-0.5, 0.5), the same as make.py's. */
export const entries = (m: number, n: number, seed: number) =>
  build(m, n, (i, j) => ((i * 73 + j * 179 + seed * 283 + i * j * 31 + i * i * 17 + j * j * 7 + i * j * j * 5) % 1009) / 1009 - 0.5)

export const symmetric = (n: number, seed: number) => add(entries(n, n, seed), transpose(entries(n, n, seed)))

export function hermitian(n: number, seed: number): ComplexMatrix {
  const [re, im] = [entries(n, n, seed), entries(n, n, seed + 1)]
  return { re: add(re, transpose(re)), im: add(im, transpose(im), -1) }
}

export const hilbert = (m: number, n: number) => build(m, n, (i, j) => 1 / (i + j + 1))

/** Wilkinson's matrices in a row, weakly coupled: clusters of nearly equal eigenvalues. */
export function glued(copies: number, half: number, glue: number): Matrix {
  const period = 2 * half + 1
  return build(copies * period, copies * period, (i, j) => {
    if (i === j) return Math.abs((i % period) - half)
    return Math.abs(i - j) > 1 ? 0 : Math.max(i, j) % period === 0 ? glue : 1
  })
}

export function graded(n: number): Matrix {
  const a = symmetric(n, 3)
  return build(n, n, (i, j) => (a.data[i * n + j] + (i === j ? 4 : 0)) * 2 ** (-3 * i) * 2 ** (-3 * j))
}

export const lowRank = (m: number, n: number, r: number, seed: number) => matmul(entries(m, r, seed), entries(r, n, seed + 1))

export const add = (a: Matrix, b: Matrix, s = 1) =>
  matrix(
    a.rows,
    a.cols,
    a.data.map((x, i) => x + s * b.data[i]),
  )

/** A diag(d). */
export const scaleColumns = (a: Matrix, d: ArrayLike<number>) => build(a.rows, a.cols, (i, j) => a.data[i * a.cols + j] * d[j])

/** Largest |a - b|. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity
  let worst = 0
  for (let i = 0; i < a.length; i++) if (!(Math.abs(a[i] - b[i]) <= worst)) worst = Math.abs(a[i] - b[i])
  return worst
}

/** How far columns (or rows) are from orthonormal. */
export const columnsOff = (a: Matrix) => distance(matmul(a, a, { transA: true }).data, identity(a.cols).data)
export const rowsOff = (a: Matrix) => columnsOff(transpose(a))
export function unitaryOff(v: ComplexMatrix): number {
  const { re, im } = complexMatmul(v, v, { adjointA: true })
  return Math.max(distance(re.data, identity(re.rows).data), distance(im.data, new Float64Array(im.data.length)))
}

/** Runs `body` and gives back what it threw. */
export function thrown(body: () => unknown): { code?: string; message?: string; data?: Record<string, unknown> } {
  try {
    body()
  } catch (error) {
    return error as Error
  }
  return {}
}
