import { AttuneError } from '@attune/expr'
import { withCore } from './core.ts'
import { gram, matmul } from './matmul.ts'
import { expectEqual, expectFinite, expectMatrix, expectSquare, expectSymmetric, type Matrix, matrix } from './matrix.ts'

/** Lower L with A = L L^T. Throws ERR_ARGUMENT naming the pivot when A is not positive definite. */
export function cholesky(a: Matrix): Matrix {
  checkPositive('cholesky', a)
  const n = a.rows
  return withCore(({ run, alloc, view }) => {
    const pa = alloc(n * n)
    view(pa, n * n).set(a.data)
    positive('cholesky', run.cholesky(n, pa))
    const [l, u] = [matrix(n, n), view(pa, n * n)]
    for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) l.data[i * n + j] = u[j * n + i]
    return l
  })
}

/** X with A X = B for symmetric positive definite A, by Cholesky. Throws ERR_ARGUMENT naming the pivot when it is not. */
export function solvePositive(a: Matrix, b: Matrix): Matrix {
  checkPositive('solvePositive', a)
  checkRight('solvePositive', a, b)
  const n = a.rows
  return withCore(({ run, alloc, view }) => {
    const [pa, pb] = [alloc(n * n), alloc(n * b.cols)]
    view(pa, n * n).set(a.data)
    view(pb, n * b.cols).set(b.data)
    positive('solvePositive', run.cholesky(n, pa))
    run.triangular(n, pa, 1, n, 1, 0, pb, b.cols, b.cols)
    run.triangular(n, pa, n, 1, 0, 0, pb, b.cols, b.cols)
    return { rows: n, cols: b.cols, data: view(pb, n * b.cols).slice() }
  })
}

/** X with A X = B by LU with partial pivoting. Throws ERR_ARGUMENT naming the column when A is exactly singular. */
export function solve(a: Matrix, b: Matrix): Matrix {
  checkRight('solve', a, b)
  const { lu, pivots, singular } = factor('solve', a)
  if (singular) throw new AttuneError('ERR_ARGUMENT', `solve: a is singular (no pivot in column ${singular - 1})`, { column: singular - 1 })
  const n = a.rows
  return withCore(({ run, alloc, view }) => {
    const [pa, pb] = [alloc(n * n), alloc(n * b.cols)]
    view(pa, n * n).set(lu)
    const x = view(pb, n * b.cols)
    x.set(b.data)
    for (let i = 0; i < n; i++) swapRows(x, b.cols, i, pivots[i])
    run.triangular(n, pa, n, 1, 1, 1, pb, b.cols, b.cols)
    run.triangular(n, pa, n, 1, 0, 0, pb, b.cols, b.cols)
    return { rows: n, cols: b.cols, data: x.slice() }
  })
}

/** The sign of det A: -1, 0 or 1. */
export function detSign(a: Matrix): number {
  const { lu, pivots, singular } = factor('detSign', a)
  if (singular) return 0
  let sign = 1
  for (let i = 0; i < a.rows; i++) if ((pivots[i] !== i) !== lu[i * a.rows + i] < 0) sign = -sign
  return sign
}

/**
 * The ridge regression B = argmin |X B - Y|^2 + lambda |B|^2 (lambda in absolute units), from the data
 * `{ x (N x n), y (N x m) }` or from accumulated Grams `{ xx = X^T X (n x n), xy = X^T Y (n x m) }`.
 */
export function ridge(from: { x: Matrix; y: Matrix } | { xx: Matrix; xy: Matrix }, lambda: number): Matrix {
  if (!(lambda >= 0 && lambda < Infinity))
    throw new AttuneError('ERR_ARGUMENT', `ridge: lambda must not be negative, got ${lambda}`, { lambda })
  const { xx, xy } = 'xx' in from ? from : { xx: gram(from.x), xy: matmul(from.x, from.y, { transA: true }) }
  expectSquare('ridge', 'xx', xx)
  const damped = { ...xx, data: xx.data.slice() }
  for (let i = 0; i < xx.rows; i++) damped.data[i * xx.rows + i] += lambda
  return solvePositive(damped, xy)
}

function factor(where: string, a: Matrix): { lu: Float64Array; pivots: Int32Array; singular: number } {
  expectSquare(where, 'a', a)
  expectFinite(where, 'a', a)
  const n = a.rows
  return withCore(({ run, alloc, view, ints }) => {
    const [pa, piv] = [alloc(n * n), alloc(n)]
    view(pa, n * n).set(a.data)
    const singular = run.lu(n, pa, piv)
    return { lu: view(pa, n * n).slice(), pivots: ints(piv, n).slice(), singular }
  })
}

function checkPositive(where: string, a: Matrix): void {
  expectSquare(where, 'a', a)
  expectFinite(where, 'a', a)
  expectSymmetric(where, 'a', a)
}

function checkRight(where: string, a: Matrix, b: Matrix): void {
  expectMatrix(where, 'b', b)
  expectFinite(where, 'b', b)
  expectEqual(where, 'the rows of a and b', a.rows, b.rows)
}

function positive(where: string, failed: number): void {
  if (failed) throw new AttuneError('ERR_ARGUMENT', `${where}: a is not positive definite (pivot ${failed - 1})`, { pivot: failed - 1 })
}

function swapRows(x: Float64Array, cols: number, i: number, j: number): void {
  if (i === j) return
  const row = x.slice(i * cols, (i + 1) * cols)
  x.copyWithin(i * cols, j * cols, (j + 1) * cols)
  x.set(row, j * cols)
}
