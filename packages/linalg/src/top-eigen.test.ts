import { describe, expect, test } from 'vitest'
import { columnsOff, distance, entries, hilbert, scaleColumns, symmetric, thrown } from '../test/helpers.ts'
import { eigh, gram, identity, type Matrix, matmul, matrix, qr, topEigen, transpose } from './index.ts'

const operator = (a: Matrix) => ({ size: a.rows, apply: (rows: Matrix) => matmul(rows, a) })

function withSpectrum(n: number, value: (i: number) => number): Matrix {
  const { q } = qr(entries(n, n, 9))
  const a = matmul(
    scaleColumns(
      q,
      Float64Array.from({ length: n }, (_, i) => value(i)),
    ),
    q,
    { transB: true },
  )
  const t = transpose(a)
  return matrix(
    n,
    n,
    a.data.map((x, i) => (x + t.data[i]) / 2),
  )
}

describe('topEigen', () => {
  test.each([
    ['power law', (i: number) => 1 / (i + 1), 20],
    ['geometric, below rounding', (i: number) => 2 ** -i, 12],
    ['repeated values', (i: number) => (i < 15 ? 5 : i < 40 ? 3 : 1 / i), 30],
    ['indefinite', (i: number) => (i % 2 ? -1 : 1) / (1 + (i >> 1)), 10],
  ])('%s: pairs of eigh', (_, value, r) => {
    const n = 400
    const a = withSpectrum(n, value)
    const { values, vectors, residuals } = topEigen(operator(a), r)
    expect(distance(values, eigh(a).values.slice(0, r))).toBeLessThan(1e-13)
    expect(columnsOff(vectors)).toBeLessThan(1e-13)
    const error = distance(matmul(a, vectors).data, scaleColumns(vectors, values).data)
    expect(error).toBeLessThan(1e-9 * values[0])
    expect(Math.max(...residuals)).toBeLessThan(1e-9 * values[0])
  })

  test('a Gram with a flat spectrum, through restarts', () => {
    const a = gram(entries(900, 600, 3))
    const { values } = topEigen(operator(a), 5, { restarts: 40 })
    expect(distance(values, eigh(a).values.slice(0, 5))).toBeLessThan(1e-10 * values[0])
  })

  test('low rank, zero and identity: invariant subspaces are left again', () => {
    const low = gram(entries(7, 300, 1))
    expect(distance(topEigen(operator(low), 12).values, eigh(low).values.slice(0, 12))).toBeLessThan(1e-12 * eigh(low).values[0])
    expect(topEigen(operator(matrix(200, 200)), 3).values).toEqual(new Float64Array(3))
    expect(distance(topEigen(operator(identity(200)), 9).values, new Float64Array(9).fill(1))).toBeLessThan(1e-14)
  })

  test('all of a small operator, and matrices through eigh', () => {
    const a = symmetric(30, 2)
    expect(distance(topEigen(operator(a), 30).values, eigh(a).values)).toBeLessThan(1e-13)
    expect(topEigen(a, 4).values).toEqual(eigh(a, { count: 4 }).values)
    expect(Math.max(...topEigen(hilbert(9, 9), 9).residuals)).toBeLessThan(4e-15)
  })

  test('big matrices: Krylov where the spectrum falls, eigh where it is flat', () => {
    const n = 2060
    for (const value of [(i: number) => 1 / (i + 1), (i: number) => 1 - i / n]) {
      const a = matrix(n, n)
      for (let i = 0; i < n; i++) a.data[i * n + i] = value(i)
      const { values, vectors, residuals } = topEigen(a, 3)
      expect(distance(values, [value(0), value(1), value(2)])).toBeLessThan(1e-13)
      expect(vectors.data[0]).toBeCloseTo(1, 9)
      expect(Math.max(...residuals)).toBeLessThan(1e-10)
    }
  })

  test('bitwise the same again; the vectors do not depend on the seed', () => {
    const a = operator(withSpectrum(300, i => 1 / (i + 1)))
    const first = topEigen(a, 6)
    expect(topEigen(a, 6)).toEqual(first)
    expect(distance(topEigen(a, 6, { seed: 5 }).vectors.data, first.vectors.data)).toBeLessThan(1e-7)
  })

  test('says so when it does not converge', () => {
    const a = operator(gram(entries(900, 600, 3)))
    const { code, message } = thrown(() => topEigen(a, 5, { restarts: 0, tolerance: 1e-14 }))
    expect(code).toBe('ERR_ARGUMENT')
    expect(message).toMatch(/^topEigen: the worst of 5 residuals is .* after 0 restarts, wanted 1e-14$/)
    expect(thrown(() => topEigen(a, 0)).code).toBe('ERR_ARGUMENT')
  })
})
