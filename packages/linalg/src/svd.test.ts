import { describe, expect, test } from 'vitest'
import { columnsOff, distance, entries, hilbert, lowRank, oracle, rowsOff, scaleColumns, thrown } from '../test/helpers.ts'
import { frobenius, lstsq, type Matrix, matmul, matrix, pinv, qr, svd, transpose } from './index.ts'

function quality(a: Matrix): { worst: number; s: Float64Array } {
  const { u, s, vt } = svd(a)
  const unit = Math.max(a.rows, a.cols, 10) * Number.EPSILON
  const residual = distance(matmul(scaleColumns(u, s), vt).data, a.data) / (frobenius(a) || 1)
  return { worst: Math.max(residual, columnsOff(u), rowsOff(vt)) / unit, s }
}

describe('svd', () => {
  test.each([
    ['wide40x90', entries(40, 90, 13)],
    ['square80', entries(80, 80, 14)],
    ['hilbert40x35', hilbert(40, 35)],
    ['rank6of60x50', lowRank(60, 50, 6, 15)],
  ])('%s: values of LAPACK, residual and orthogonality at rounding level', (name, a) => {
    const { worst, s } = quality(a)
    expect(distance(s, oracle.singularValues[name])).toBeLessThan(80 * Number.EPSILON * s[0])
    expect(worst).toBeLessThan(4)
  })

  test('signed vectors of LAPACK', () => {
    const { u, s, vt } = svd(entries(8, 5, 16))
    expect(distance(s, oracle.svd.s)).toBeLessThan(1e-14)
    expect(distance(u.data, oracle.svd.u)).toBeLessThan(1e-13)
    expect(distance(vt.data, oracle.svd.vt)).toBeLessThan(1e-13)
  })

  test.each([
    [1, 1],
    [1, 7],
    [7, 1],
    [32, 32],
    [33, 33],
    [65, 64],
    [66, 66],
    [300, 40],
    [129, 200],
    [200, 190],
  ])('%i x %i', (m, n) => {
    expect(quality(entries(m, n, m + n)).worst).toBeLessThan(4)
  })

  test('zero, ones, repeated and graded values', () => {
    const n = 90
    expect(quality(matrix(n, n)).worst).toBe(0)
    const corner = matrix(n, n)
    corner.data[0] = 1 // zero blocks below a block that is not
    expect(quality(corner).worst).toBeLessThan(4)
    expect(quality(matrix(n, n, new Float64Array(n * n).fill(1))).worst).toBeLessThan(4)
    const [a, b] = [qr(entries(n, n, 1)).q, qr(entries(n, n, 2)).q]
    for (const value of [(i: number) => (i < 50 ? 3 : 1), (i: number) => 2 ** -i, (i: number) => (i % 2 ? 1e-9 : 1)]) {
      const wanted = Float64Array.from({ length: n }, (_, i) => value(i))
      const { worst, s } = quality(matmul(scaleColumns(a, wanted), b))
      expect(worst).toBeLessThan(4)
      expect(distance(s, wanted.sort().reverse())).toBeLessThan(1e-14 * s[0])
    }
  })

  test('sparse bands: vectors stay orthonormal where rows need sorting but no rotation', () => {
    for (let seed = 0; seed < 40; seed++) {
      const [m, n] = [60 + seed, 90 - seed]
      const pick = entries(m, n, seed)
      const a = matrix(m, n)
      for (let i = 0; i < m; i++)
        for (let j = Math.max(0, i - 2); j <= Math.min(n - 1, i + 2); j++)
          if (pick.data[i * n + j] > 0.35) a.data[i * n + j] = pick.data[j * m + i]
      expect(quality(a).worst).toBeLessThan(4)
    }
  })

  test('bitwise the same again', () => {
    const first = svd(entries(70, 60, 3))
    svd(entries(20, 90, 4))
    const again = svd(entries(70, 60, 3))
    expect(again).toEqual(first)
  })

  test('conversions.md, joint SVD: exact at full rank, the best error at lower rank', () => {
    const w = entries(128, 96, 6)
    const { u, s, vt } = svd(w)
    const keep = 40
    const low = svd(
      matmul(
        scaleColumns(
          u,
          s.map((x, i) => (i < keep ? x : 0)),
        ),
        vt,
      ),
    )
    expect(low.s[keep]).toBeLessThan(1e-13)
    const error = matrix(
      128,
      96,
      matmul(scaleColumns(low.u, low.s), low.vt).data.map((x, i) => x - w.data[i]),
    )
    expect(frobenius(error)).toBeCloseTo(Math.sqrt(s.slice(keep).reduce((t, x) => t + x * x, 0)), 12)
  })

  test('refuses NaN', () => {
    expect(thrown(() => svd(matrix(1, 2, [1, NaN]))).message).toBe('svd: a[0, 1] is NaN')
  })
})

describe('lstsq and pinv', () => {
  test('results of LAPACK', () => {
    expect(distance(lstsq(entries(15, 6, 5), entries(15, 2, 4)).data, oracle.lstsq)).toBeLessThan(1e-13)
    expect(distance(lstsq(lowRank(10, 6, 3, 2), entries(10, 2, 3), 1e-10).data, oracle.lstsqDeficient)).toBeLessThan(1e-12)
    expect(distance(pinv(entries(6, 4, 1)).data, oracle.pinv)).toBeLessThan(1e-13)
  })

  test('Penrose conditions of a rank-deficient matrix', () => {
    const a = lowRank(30, 20, 4, 2)
    const p = pinv(a, 1e-10)
    const ap = matmul(a, p)
    expect(distance(matmul(ap, a).data, a.data)).toBeLessThan(1e-12)
    expect(distance(matmul(matmul(p, a), p).data, p.data)).toBeLessThan(1e-12)
    expect(distance(transpose(ap).data, ap.data)).toBeLessThan(1e-13)
  })
})

describe('qr', () => {
  test('factors of LAPACK with a positive diagonal', () => {
    const { q, r } = qr(entries(9, 6, 17))
    expect(distance(q.data, oracle.qr.q)).toBeLessThan(1e-14)
    expect(distance(r.data, oracle.qr.r)).toBeLessThan(1e-14)
  })

  test.each([
    [1, 1],
    [4, 9],
    [200, 150],
    [150, 200],
    [130, 65],
  ])('%i x %i: product and orthogonality', (m, n) => {
    const a = entries(m, n, 3)
    const { q, r } = qr(a)
    expect(distance(matmul(q, r).data, a.data)).toBeLessThan(1e-14)
    expect(columnsOff(q)).toBeLessThan(1e-14)
  })
})
