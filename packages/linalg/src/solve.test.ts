import { describe, expect, test } from 'vitest'
import { add, distance, entries, hermitian, hilbert, oracle, symmetric, thrown } from '../test/helpers.ts'
import {
  cholesky,
  complexGram,
  complexMatmul,
  complexRidge,
  damp,
  detSign,
  gram,
  identity,
  matmul,
  matrix,
  ridge,
  solve,
  solvePositive,
} from './index.ts'

const positive = (n: number, seed: number) => gram(entries(2 * n, n, seed))

describe('solves', () => {
  test('results of LAPACK', () => {
    expect(distance(cholesky(gram(entries(30, 16, 8))).data, oracle.cholesky)).toBeLessThan(1e-14)
    expect(distance(solve(entries(12, 12, 18), entries(12, 4, 19)).data, oracle.solve)).toBeLessThan(1e-12)
    const [x, y] = [entries(20, 5, 6), entries(20, 3, 7)]
    expect(distance(ridge({ x, y }, 0.3).data, oracle.ridge)).toBeLessThan(1e-14)
    const grams = { xx: gram(x), xy: matmul(x, y, { transA: true }) }
    expect(ridge(grams, 0.3)).toEqual(ridge({ x, y }, 0.3))
    const z = { re: entries(18, 4, 20), im: entries(18, 4, 21) }
    const fit = complexRidge(z, { re: entries(18, 2, 22), im: entries(18, 2, 23) }, 0.2)
    expect(distance(fit.re.data, oracle.complexRidge.real)).toBeLessThan(1e-14)
    expect(distance(fit.im.data, oracle.complexRidge.imag)).toBeLessThan(1e-14)
  })

  test.each([1, 47, 48, 49, 150])('size %i: factors multiply back, solutions satisfy their system', n => {
    const [a, b] = [entries(n, n, 2), entries(n, 3, 4)]
    expect(distance(matmul(a, solve(a, b)).data, b.data)).toBeLessThan(1e-11)
    const p = damp(positive(n, 5), 0.01)
    expect(distance(matmul(p, solvePositive(p, b)).data, b.data)).toBeLessThan(1e-12)
    const l = cholesky(p)
    expect(distance(matmul(l, l, { transB: true }).data, p.data)).toBeLessThan(1e-12)
  })

  test('conversions.md, slim attention: V = K Wk^-1 Wv through an ill-conditioned Wk', () => {
    const [wk, wv, x] = [add(hilbert(7, 7), identity(7), 1e-4), entries(7, 7, 2), entries(40, 7, 3)]
    const c = solve(wk, wv)
    const v = matmul(matmul(x, wk), c)
    expect(distance(v.data, matmul(x, wv).data)).toBeLessThan(1e-11)
  })

  test('the sign of a determinant', () => {
    expect(detSign(identity(5))).toBe(1)
    expect(detSign(matrix(2, 2, [0, 1, 1, 0]))).toBe(-1)
    expect(detSign(matrix(2, 2, [1, 2, 2, 4]))).toBe(0)
    expect(detSign(entries(9, 9, 28))).toBe(oracle.determinants[1])
  })

  test('names the pivot that fails', () => {
    expect(thrown(() => cholesky(matrix(2, 2, [1, 0, 0, -1])))).toMatchObject({
      code: 'ERR_ARGUMENT',
      message: 'cholesky: a is not positive definite (pivot 1)',
      data: { pivot: 1 },
    })
    expect(thrown(() => solve(matrix(2, 2), matrix(2, 1))).message).toBe('solve: a is singular (no pivot in column 0)')
    expect(thrown(() => solvePositive(identity(3), matrix(2, 1))).code).toBe('ERR_SHAPE')
    expect(thrown(() => ridge({ x: identity(2), y: identity(2) }, -1)).message).toBe('ridge: lambda must not be negative, got -1')
  })
})

describe('complex products', () => {
  test('adjoints, the Hermitian Gram and its accumulation', () => {
    const [a, b] = [hermitian(6, 1), { re: entries(6, 4, 5), im: entries(6, 4, 6) }]
    const left = complexMatmul(b, a, { adjointA: true })
    const right = complexMatmul(a, b) // a is Hermitian: (B^H A)^H = A B
    for (let i = 0; i < 6; i++)
      for (let j = 0; j < 4; j++) {
        expect(left.re.data[j * 6 + i]).toBeCloseTo(right.re.data[i * 4 + j], 14)
        expect(left.im.data[j * 6 + i]).toBeCloseTo(-right.im.data[i * 4 + j], 14)
      }
    const z = { re: entries(10, 3, 7), im: entries(10, 3, 8) }
    const once = complexGram(z)
    const [r0, r1] = [z.re.data, z.im.data]
    let [re, im] = [0, 0] // C[0, 2] = sum z_0 conj(z_2)
    for (let n = 0; n < 10; n++) {
      re += r0[n * 3] * r0[n * 3 + 2] + r1[n * 3] * r1[n * 3 + 2]
      im += r1[n * 3] * r0[n * 3 + 2] - r0[n * 3] * r1[n * 3 + 2]
    }
    expect(once.re.data[2]).toBeCloseTo(re, 14)
    expect(once.im.data[2]).toBeCloseTo(im, 14)
    expect(once.im.data[6]).toBe(-once.im.data[2])
    const twice = complexGram(z, complexGram(z))
    expect(
      distance(
        twice.re.data,
        once.re.data.map(x => 2 * x),
      ),
    ).toBe(0)
  })

  test('damping adds a share of the mean diagonal', () => {
    const a = symmetric(4, 1)
    const mean = [0, 5, 10, 15].reduce((t, i) => t + a.data[i] / 4, 0)
    expect(damp(a, 0.01).data[5] - a.data[5]).toBeCloseTo(0.01 * mean, 15)
  })
})
