import { AttuneError } from '@attune/expr'
import { withCore } from './core.ts'
import { type ComplexMatrix, expectEqual, expectFinite, expectSquare, expectSymmetric, largest, type Matrix, matrix } from './matrix.ts'

/** Eigenvalues, descending, with their unit eigenvectors as columns (n x count): `A vectors = vectors diag(values)`. */
export interface Eigen {
  values: Float64Array
  vectors: Matrix
}

/** As {@link Eigen} with complex vectors. */
export interface HermitianEigen {
  values: Float64Array
  vectors: ComplexMatrix
}

/**
 * The `count` largest eigenvalues (default all), descending, and eigenvectors of a symmetric matrix. Of each vector the component of
 * largest magnitude is positive. Householder reduction and divide and conquer. Throws ERR_SHAPE, ERR_ARGUMENT (not finite, not symmetric).
 */
export function eigh(a: Matrix, { count = a.rows }: { count?: number } = {}): Eigen {
  expectSquare('eigh', 'a', a)
  expectFinite('eigh', 'a', a)
  expectSymmetric('eigh', 'a', a)
  const n = a.rows
  expectCount('eigh', count, n)
  return withCore(({ run, alloc, view, ints }) => {
    const [pa, d, e, tau, q] = [alloc(n * n), alloc(n), alloc(n), alloc(n), alloc(n * n)]
    const [order, iwork, work] = [
      alloc(n),
      alloc(3 * n),
      alloc(Math.max(workOfDivide(n, count), 96 * n, count * n + 2 * count * 64 + 64 * n)),
    ]
    view(pa, n * n).set(a.data)
    run.tridiag(n, pa, d, e, tau, work)
    if (run.divide(n, d, e, q, order, count, work, iwork)) throw notConverged('eigh', n)
    const rows = pickRows(view(q, n * n), n, ints(order, n), count, view(work, count * n))
    run.reflectRows(count, n, work, n, n - 1, pa, n, 1, tau, 0, work + count * n * 8)
    const values = Float64Array.from(
      ints(order, n)
        .subarray(n - count)
        .reverse(),
      row => view(d, n)[row],
    )
    return { values, vectors: signedColumns(rows, count, n) }
  })
}

/**
 * As {@link eigh} for a Hermitian matrix given by real and imaginary part (n x n each): `A = V diag(values) V^H`.
 * Of each vector the component of largest magnitude is real and positive.
 */
export function eighHermitian({ re, im }: ComplexMatrix, { count = re.rows }: { count?: number } = {}): HermitianEigen {
  expectSquare('eighHermitian', 're', re)
  expectSquare('eighHermitian', 'im', im)
  expectEqual('eighHermitian', 'the sizes of re and im', re.rows, im.rows)
  expectFinite('eighHermitian', 're', re)
  expectFinite('eighHermitian', 'im', im)
  const scale = Math.max(largest(re), largest(im))
  expectSymmetric('eighHermitian', 're', re, 1, scale)
  expectSymmetric('eighHermitian', 'im', im, -1, scale)
  const n = re.rows
  expectCount('eighHermitian', count, n)
  return withCore(({ run, alloc, view, ints }) => {
    const [ar, ai, vr, vi, q] = [alloc(n * n), alloc(n * n), alloc(n * n), alloc(n * n), alloc(n * n)]
    const [beta, pr, pi, d, e] = [alloc(n), alloc(n), alloc(n), alloc(n), alloc(n)]
    const [order, iwork, work] = [alloc(n), alloc(3 * n), alloc(Math.max(workOfDivide(n, count), 2 * count * n))]
    view(ar, n * n).set(re.data)
    view(ai, n * n).set(im.data)
    run.hermitianTridiag(n, ar, ai, vr, vi, beta, pr, pi, d, e, work)
    if (run.divide(n, d, e, q, order, count, work, iwork)) throw notConverged('eighHermitian', n)
    const zr = pickRows(view(q, n * n), n, ints(order, n), count, view(work, count * n))
    const zi = view(work + count * n * 8, count * n)
    run.hermitianBack(count, n, work, work + count * n * 8, vr, vi, beta, pr, pi)
    const values = Float64Array.from(
      ints(order, n)
        .subarray(n - count)
        .reverse(),
      row => view(d, n)[row],
    )
    return { values, vectors: phasedColumns(zr, zi, count, n) }
  })
}

/** +1 or -1: makes the component of largest magnitude (the first of equals) positive. */
export function signOf(x: ArrayLike<number>, from = 0, step = 1, count = x.length): number {
  let best = 0
  for (let i = 0; i < count; i++) if (Math.abs(x[from + i * step]) > Math.abs(best)) best = x[from + i * step]
  return best < 0 ? -1 : 1
}

/** Rows (count x n) as columns (n x count), signs fixed. */
export function signedColumns(rows: Float64Array, count: number, n: number): Matrix {
  const out = matrix(n, count)
  for (let r = 0; r < count; r++) {
    const sign = signOf(rows, r * n, 1, n)
    for (let i = 0; i < n; i++) out.data[i * count + r] = sign * rows[r * n + i]
  }
  return out
}

const notConverged = (where: string, n: number) =>
  new AttuneError('ERR_ARGUMENT', `${where}: the QL iteration did not converge for this ${n} x ${n} matrix`, { n })

export function expectCount(where: string, count: number, n: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= n) return
  throw new AttuneError('ERR_ARGUMENT', `${where}: count must be between 1 and ${n}, got ${count}`, { count, n })
}

/** Numbers of scratch that the core's `divide` asks for: U of the widest merge, one copy of Q, eight vectors. */
export function workOfDivide(n: number, want: number): number {
  const half = Math.ceil(n / 2)
  return n * n + Math.max(want * n, half * half) + 8 * n
}

function pickRows(q: Float64Array, n: number, order: Int32Array, count: number, to: Float64Array): Float64Array {
  for (let r = 0; r < count; r++) {
    const row = order[n - 1 - r]
    to.set(q.subarray(row * n, (row + 1) * n), r * n)
  }
  return to
}

function phasedColumns(zr: Float64Array, zi: Float64Array, count: number, n: number): ComplexMatrix {
  const re = matrix(n, count)
  const im = matrix(n, count)
  for (let r = 0; r < count; r++) {
    let at = r * n
    let size = -1
    for (let i = r * n; i < (r + 1) * n; i++) {
      const magnitude = Math.sqrt(zr[i] * zr[i] + zi[i] * zi[i]) // not hypot: its last bit is up to the engine
      if (magnitude > size) [size, at] = [magnitude, i]
    }
    const c = zr[at] / size
    const s = -zi[at] / size
    for (let i = 0; i < n; i++) {
      const [x, y] = [zr[r * n + i], zi[r * n + i]]
      re.data[i * count + r] = x * c - y * s
      im.data[i * count + r] = r * n + i === at ? 0 : x * s + y * c
    }
  }
  return { re, im }
}
