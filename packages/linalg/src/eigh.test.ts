import { describe, expect, test } from 'vitest'
import {
  add,
  build,
  columnsOff,
  distance,
  entries,
  glued,
  graded,
  hermitian,
  hilbert,
  lowRank,
  oracle,
  scaleColumns,
  symmetric,
  thrown,
  unitaryOff,
} from '../test/helpers.ts'
import { complexMatmul, eigh, eighHermitian, frobenius, identity, type Matrix, matmul, matrix, qr, transpose } from './index.ts'

const kron = (copies: number, a: Matrix) =>
  build(copies * a.rows, copies * a.rows, (i, j) =>
    Math.floor(i / a.rows) === Math.floor(j / a.rows) ? a.data[(i % a.rows) * a.rows + (j % a.rows)] : 0,
  )
const square = (a: Matrix) => matmul(a, a, { transB: true })

const matrices: Record<string, Matrix> = {
  dense64: symmetric(64, 1),
  dense150: symmetric(150, 2),
  hilbert12: hilbert(12, 12),
  glued105: glued(5, 10, 2 ** -27),
  graded20: graded(20),
  repeated48: kron(8, symmetric(6, 4)),
  rank5of40: square(lowRank(40, 5, 5, 9)),
}

/** Residual and orthogonality in units of n * eps * |A|. */
function quality(a: Matrix): { residual: number; off: number; values: Float64Array } {
  const { values, vectors } = eigh(a)
  const unit = a.rows * Number.EPSILON
  const residual = distance(matmul(a, vectors).data, scaleColumns(vectors, values).data) / (frobenius(a) || 1)
  return { residual: residual / unit, off: columnsOff(vectors) / unit, values }
}

describe('eigh', () => {
  test.each(Object.keys(matrices))('%s: values of LAPACK, residual and orthogonality at rounding level', name => {
    const a = matrices[name]
    const { residual, off, values } = quality(a)
    expect(distance(values, oracle.eigenvalues[name])).toBeLessThan(a.rows * Number.EPSILON * frobenius(a))
    expect(residual).toBeLessThan(1)
    expect(off).toBeLessThan(4)
  })

  test('signed vectors of LAPACK', () => {
    const { values, vectors } = eigh(symmetric(10, 11))
    expect(distance(values, oracle.eigh.values)).toBeLessThan(1e-14)
    expect(distance(vectors.data, oracle.eigh.re)).toBeLessThan(1e-13)
  })

  test('second difference, 500: the closed form', () => {
    const n = 500
    const { residual, off, values } = quality(build(n, n, (i, j) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0)))
    const exact = Array.from({ length: n }, (_, k) => 2 - 2 * Math.cos(((n - k) * Math.PI) / (n + 1)))
    expect(distance(values, exact)).toBeLessThan(1e-14)
    expect(Math.max(residual, off)).toBeLessThan(4)
  })

  test('576 x 576, the width of a small model', () => {
    const { residual, off } = quality(symmetric(576, 7))
    expect(Math.max(residual, off)).toBeLessThan(1)
  })

  test.each([1, 2, 3, 31, 32, 33, 65])('size %i', n => {
    const { residual, off } = quality(symmetric(n, n))
    expect(Math.max(residual, off)).toBeLessThan(40)
  })

  test('zero, identity, ones, a diagonal, a reflection: exact multiplicities', () => {
    const n = 70
    for (const [a, top, second] of [
      [matrix(n, n), 0, 0],
      [identity(n), 1, 1],
      [build(n, n, () => 1), n, 0],
      [build(n, n, (i, j) => (i === j ? n - i : 0)), n, n - 1],
      [build(n, n, (i, j) => (i === j ? 1 : 0) - 2 / n), 1, 1],
    ] as const) {
      const { residual, off, values } = quality(a)
      expect(Math.max(residual, off)).toBeLessThan(4)
      expect(values[0]).toBeCloseTo(top, 11)
      expect(values[1]).toBeCloseTo(second, 11)
    }
  })

  test('huge and tiny scales', () => {
    for (const s of [1e-200, 1e200]) {
      const a = symmetric(50, 3)
      const { values } = eigh(
        matrix(
          50,
          50,
          a.data.map(x => x * s),
        ),
      )
      const plain = eigh(a).values
      expect(
        distance(
          values.map(x => x / s),
          plain,
        ),
      ).toBeLessThan(1e-13)
    }
  })

  test('count gives the leading part', () => {
    const a = symmetric(150, 2)
    const all = eigh(a)
    const { values, vectors } = eigh(a, { count: 7 })
    expect([...values]).toEqual([...all.values.slice(0, 7)])
    expect(distance(vectors.data, build(150, 7, (i, j) => all.vectors.data[i * 150 + j]).data)).toBeLessThan(1e-13)
  })

  test('bitwise the same again, in any order of calls', () => {
    const a = symmetric(130, 5)
    const first = eigh(a)
    eigh(symmetric(200, 6))
    matmul(entries(90, 70, 1), entries(70, 50, 2))
    const again = eigh(a)
    expect(again.values).toEqual(first.values)
    expect(again.vectors.data).toEqual(first.vectors.data)
  })

  test('refuses what is not square, finite, symmetric', () => {
    expect(thrown(() => eigh(matrix(2, 3)))).toMatchObject({
      code: 'ERR_SHAPE',
      message: 'eigh: a must be square and not empty, got 2 x 3',
    })
    expect(thrown(() => eigh(matrix(2, 2, [1, NaN, NaN, 1]))).message).toBe('eigh: a[0, 1] is NaN')
    expect(thrown(() => eigh(matrix(2, 2, [1, 2, 3, 1])))).toMatchObject({ code: 'ERR_ARGUMENT', data: { row: 0, col: 1 } })
    expect(thrown(() => eigh(identity(3), { count: 4 })).message).toBe('eigh: count must be between 1 and 3, got 4')
    expect(thrown(() => eigh({ rows: 2, cols: 2, data: new Float64Array(3) })).code).toBe('ERR_SHAPE')
  })
})

describe('eighHermitian', () => {
  test.each([1, 2, 3, 9, 40, 120])('size %i: residual, unitarity', n => {
    const a = hermitian(n, 10)
    const { values, vectors } = eighHermitian(a)
    const image = complexMatmul(a, vectors)
    const scale = Math.hypot(frobenius(a.re), frobenius(a.im))
    expect(distance(image.re.data, scaleColumns(vectors.re, values).data) / scale).toBeLessThan(1e-14)
    expect(distance(image.im.data, scaleColumns(vectors.im, values).data) / scale).toBeLessThan(1e-14)
    expect(unitaryOff(vectors)).toBeLessThan(2e-14)
  })

  test('values and phased vectors of LAPACK', () => {
    expect(distance(eighHermitian(hermitian(40, 10)).values, oracle.eigenvalues.hermitian40)).toBeLessThan(1e-13)
    const { values, vectors } = eighHermitian(hermitian(9, 12))
    expect(distance(values, oracle.hermitian.values)).toBeLessThan(1e-14)
    expect(distance(vectors.re.data, oracle.hermitian.re)).toBeLessThan(1e-13)
    expect(distance(vectors.im.data, oracle.hermitian.im)).toBeLessThan(1e-13)
  })

  test('real input gives the real eigenvectors; repeated values stay unitary', () => {
    const a = symmetric(20, 8)
    const { vectors } = eighHermitian({ re: a, im: matrix(20, 20) })
    expect(distance(vectors.re.data, eigh(a).vectors.data)).toBeLessThan(1e-12)
    const one = hermitian(6, 3)
    const { values, vectors: u } = eighHermitian({ re: kron(5, one.re), im: kron(5, one.im) })
    for (let i = 0; i < 30; i += 5) expect(values[i] - values[i + 4]).toBeLessThan(1e-14)
    expect(unitaryOff(u)).toBeLessThan(1e-14)
  })

  test('a generic basis change is diagonalised back', () => {
    const q = qr(entries(25, 25, 4)).q
    const d = Float64Array.from({ length: 25 }, (_, i) => 25 - i)
    const a = matmul(scaleColumns(q, d), q, { transB: true })
    const sym = matrix(
      25,
      25,
      add(a, transpose(a)).data.map(x => x / 2),
    )
    expect(distance(eigh(sym).values, d)).toBeLessThan(1e-13)
  })

  test('refuses a wrong imaginary part', () => {
    expect(thrown(() => eighHermitian({ re: identity(2), im: matrix(2, 2, [0, 1, 1, 0]) })).message).toContain('im is not antisymmetric')
    expect(thrown(() => eighHermitian({ re: identity(2), im: matrix(3, 3) })).code).toBe('ERR_SHAPE')
  })
})
