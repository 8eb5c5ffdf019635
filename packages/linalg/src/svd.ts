import { type Scratch, withCore } from './core.ts'
import { signOf, workOfDivide } from './eigh.ts'
import { matmul } from './matmul.ts'
import { expectEqual, expectFinite, expectMatrix, type Matrix, matrix, transpose } from './matrix.ts'

/** A (m x n) = u diag(s) vt: u (m x k), s descending (k), vt (k x n), k = min(m, n). */
export interface Svd {
  u: Matrix
  s: Float64Array
  vt: Matrix
}

/**
 * Thin singular value decomposition: QR when tall, bidiagonalisation, divide and conquer. Of each left vector the component of
 * largest magnitude is positive. Throws ERR_SHAPE, ERR_ARGUMENT (not finite).
 */
export function svd(a: Matrix): Svd {
  expectMatrix('svd', 'a', a)
  expectFinite('svd', 'a', a)
  const k = Math.min(a.rows, a.cols)
  if (k === 0) return { u: matrix(a.rows, 0), s: new Float64Array(0), vt: matrix(0, a.cols) }
  const tall = a.rows >= a.cols
  const { left, s, right } = decompose(tall ? a : transpose(a))
  return fixSigns(tall ? left : right, s, tall ? right : left)
}

/** The minimum-norm X minimising |A X - B|; singular values up to `cutoff * s[0]` count as zero (default: max(m, n) * 2^-52). */
export function lstsq(a: Matrix, b: Matrix, cutoff?: number): Matrix {
  expectMatrix('lstsq', 'b', b)
  expectEqual('lstsq', 'the rows of a and b', a.rows, b.rows)
  const { u, s, vt } = svd(a)
  const y = matmul(u, b, { transA: true }) // (k, B)
  invert(y, s, cutoff ?? Math.max(a.rows, a.cols) * Number.EPSILON)
  return matmul(vt, y, { transA: true })
}

/** The Moore-Penrose inverse (n x m), with the cutoff of {@link lstsq}. */
export function pinv(a: Matrix, cutoff?: number): Matrix {
  const { u, s, vt } = svd(a)
  const y = transpose(u) // (k, m)
  invert(y, s, cutoff ?? Math.max(a.rows, a.cols) * Number.EPSILON)
  return matmul(vt, y, { transA: true })
}

function invert(y: Matrix, s: Float64Array, cutoff: number): void {
  const limit = cutoff * (s[0] ?? 0)
  for (let i = 0; i < y.rows; i++) for (let j = i * y.cols; j < (i + 1) * y.cols; j++) y.data[j] = s[i] > limit ? y.data[j] / s[i] : 0
}

/** Singular vectors as rows: left (n x m), right (n x n), for m >= n. */
interface Rows {
  left: Matrix
  s: Float64Array
  right: Matrix
}

function decompose(a: Matrix): Rows {
  const { rows: m, cols: n } = a
  return withCore(scratch => {
    const { run, alloc, view, ints } = scratch
    const tall = m >= 1.3 * n // then reduce R instead of A
    const p = tall ? n : m
    const [square, left, right, u, v] = [alloc(p * n), alloc(n * p), alloc(n * n), alloc(n * n), alloc(n * n)]
    const [d, e, tauL, tauR, order, iwork] = [alloc(n), alloc(n), alloc(n), alloc(n), alloc(n), alloc(3 * n)]
    const [full, at, tau] = [alloc(n * m), alloc(tall ? m * n : 1), alloc(n)]
    const work = alloc(Math.max(workOfDivide(n, n), 128 * n + 64 * m))
    if (tall) triangle(scratch, a, at, tau, d, square, work)
    else view(square, p * n).set(a.data)
    run.bidiag(p, n, square, left, right, d, e, tauL, tauR, work)
    run.divideSvd(n, d, e, u, v, order, work, iwork)
    const rows = view(full, n * m).fill(0)
    const sorted = new Float64Array(n * n)
    for (let r = 0; r < n; r++) {
      const row = ints(order, n)[n - 1 - r]
      rows.set(view(u + row * n * 8, n), r * m)
      sorted.set(view(v + row * n * 8, n), r * n)
    }
    view(v, n * n).set(sorted)
    run.reflectRows(n, p, full, m, n, left, p, 0, tauL, 0, work)
    if (tall) run.reflectRows(n, m, full, m, n, at, m, 0, tau, 0, work)
    run.reflectRows(n, n, v, n, n - 1, right, n, 1, tauR, 0, work)
    const s = Float64Array.from(ints(order, n).slice().reverse(), row => view(d, n)[row])
    return { left: { rows: n, cols: m, data: rows.slice() }, s, right: { rows: n, cols: n, data: view(v, n * n).slice() } }
  })
}

/** QR of A: reflectors in `at`, R in `square`. */
function triangle({ run, view }: Scratch, a: Matrix, at: number, tau: number, diag: number, square: number, work: number): void {
  const { rows: m, cols: n } = a
  view(at, m * n).set(transpose(a).data)
  run.qr(m, n, at, tau, diag, work)
  const [factors, d, r] = [view(at, m * n), view(diag, n), view(square, n * n).fill(0)]
  for (let i = 0; i < n; i++) {
    r[i * n + i] = d[i]
    for (let j = i + 1; j < n; j++) r[i * n + j] = factors[j * m + i]
  }
}

/** Rows of left vectors (k x m) and right vectors (k x n), each pair flipped where needed. */
function fixSigns(left: Matrix, s: Float64Array, right: Matrix): Svd {
  for (let r = 0; r < left.rows; r++) {
    if (signOf(left.data, r * left.cols, 1, left.cols) > 0) continue
    for (const side of [left, right]) for (let i = r * side.cols; i < (r + 1) * side.cols; i++) side.data[i] = -side.data[i]
  }
  return { u: transpose(left), s, vt: right }
}
