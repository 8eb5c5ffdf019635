import { withCore } from './core.ts'
import { expectFinite, expectMatrix, type Matrix, matrix, transpose } from './matrix.ts'

/** A (m x n) = Q R with k = min(m, n) orthonormal columns in Q (m x k) and upper trapezoidal R (k x n), its diagonal never negative. */
export interface Qr {
  q: Matrix
  r: Matrix
}

/** Thin Householder QR. Throws ERR_SHAPE, ERR_ARGUMENT (not finite). */
export function qr(a: Matrix): Qr {
  expectMatrix('qr', 'a', a)
  expectFinite('qr', 'a', a)
  const { rows: m, cols: n } = a
  const k = Math.min(m, n)
  if (k === 0) return { q: matrix(m, 0), r: matrix(0, n) }
  return withCore(({ run, alloc, view }) => {
    const [at, tau, diag, qt] = [alloc(m * n), alloc(k), alloc(k), alloc(k * m)]
    const work = alloc(2 * n * 64 + 64 * m)
    view(at, m * n).set(transpose(a).data)
    run.qr(m, n, at, tau, diag, work)
    const rows = view(qt, k * m).fill(0)
    for (let i = 0; i < k; i++) rows[i * m + i] = 1
    run.reflectRows(k, m, qt, m, k, at, m, 0, tau, 0, work)
    const r = matrix(k, n)
    const [factors, d] = [view(at, m * n), view(diag, k)]
    for (let i = 0; i < k; i++) {
      const sign = d[i] < 0 ? -1 : 1
      r.data[i * n + i] = sign * d[i]
      for (let j = i + 1; j < n; j++) r.data[i * n + j] = sign * factors[j * m + i]
      if (sign < 0) for (let c = i * m; c < (i + 1) * m; c++) rows[c] = -rows[c]
    }
    return { q: transpose({ rows: k, cols: m, data: rows }), r }
  })
}
