import { describe, expect, test } from 'vitest'
import { build, distance, entries, unitaryOff } from '../test/helpers.ts'
import {
  type ComplexMatrix,
  complexGram,
  complexMatmul,
  complexRidge,
  eigh,
  eighHermitian,
  frobenius,
  gram,
  lstsq,
  type Matrix,
  matmul,
  matrix,
  procrustes,
  ridge,
  solve,
  topEigen,
} from './index.ts'

// The linear algebra of the converters, on synthetic weights: T tokens, width D, H heads of width d, F = d / 2 frequencies.
const [T, D, H, d] = [96, 128, 8, 16]
const F = d / 2
const x = entries(T, D, 1)
const weight = (seed: number) => entries(H * d, D, seed)
const project = (w: Matrix) => matmul(x, w, { transB: true }) // (T, rows of w)
const rowsOf = (a: Matrix, from: number, count: number) => matrix(count, a.cols, a.data.slice(from * a.cols, (from + count) * a.cols))
const columns = (a: Matrix, pick: number[]) => build(a.rows, pick.length, (i, j) => a.data[i * a.cols + pick[j]])
const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)
const minus = (a: Matrix, b: Matrix) =>
  matrix(
    a.rows,
    a.cols,
    a.data.map((v, i) => v - b.data[i]),
  )
const relative = (a: Matrix, b: Matrix) => frobenius(minus(a, b)) / frobenius(b)

/** RoPE of one head's rows, half layout: pair (f, f + F) of row p turns by p * theta_f. */
function rope(a: Matrix): Matrix {
  return build(a.rows, d, (p, j) => {
    const f = j % F
    const angle = p * 10000 ** (-f / F)
    const [re, im] = [a.data[p * d + f], a.data[p * d + f + F]]
    return j < F ? re * Math.cos(angle) - im * Math.sin(angle) : re * Math.sin(angle) + im * Math.cos(angle)
  })
}
const scores = (q: Matrix, k: Matrix) => matmul(rope(q), rope(k), { transB: true })

/** The keys of all heads at one frequency, as complex rows (T x H). */
const atFrequency = (k: Matrix, f: number): ComplexMatrix => ({
  re: columns(
    k,
    range(0, H).map(h => h * d + f),
  ),
  im: columns(
    k,
    range(0, H).map(h => h * d + f + F),
  ),
})

describe('section 2a: aligned heads', () => {
  test('proper rotations per RoPE pair leave every score unchanged', () => {
    const [q, k, other] = [project(rowsOf(weight(2), 0, d)), project(rowsOf(weight(3), 0, d)), project(rowsOf(weight(3), d, d))]
    const r = matrix(d, d)
    for (let f = 0; f < F; f++) {
      const pair = [f, f + F]
      const turn = procrustes(columns(k, pair), columns(other, pair), { proper: true })
      pair.forEach((row, i) => {
        pair.forEach((col, j) => {
          r.data[row * d + col] = turn.data[i * 2 + j]
        })
      })
    }
    const [turnedQ, turnedK] = [matmul(q, r), matmul(k, r)]
    expect(relative(scores(turnedQ, turnedK), scores(q, k))).toBeLessThan(1e-14)
    expect(relative(turnedK, other)).toBeLessThan(relative(k, other))
  })
})

describe('section 2b: least squares', () => {
  test('V: the error of the top d eigenvectors is the sum of the dropped eigenvalues', () => {
    const v = project(rowsOf(weight(4), 0, 2 * d)) // two heads share one
    const xx = gram(v)
    const { values, vectors } = topEigen(xx, d)
    const low = matmul(matmul(v, vectors), vectors, { transB: true })
    const dropped = eigh(xx)
      .values.slice(d)
      .reduce((s, e) => s + e, 0)
    expect(values.length).toBe(d)
    expect(frobenius(minus(v, low)) ** 2).toBeCloseTo(dropped, 10)
  })

  test('K: the top eigenvector of C = sum z z^H is the best shared key up to a complex scale per head', () => {
    const z = atFrequency(project(weight(5)), 2)
    const { values, vectors } = eighHermitian(complexGram(z))
    const a = { re: columns(vectors.re, [0]), im: columns(vectors.im, [0]) }
    const shared = complexMatmul(z, {
      re: a.re,
      im: matrix(
        H,
        1,
        a.im.data.map(t => -t),
      ),
    }) // k' = sum conj(a_h) z_h
    let error = 0
    for (let n = 0; n < T; n++)
      for (let h = 0; h < H; h++) {
        const [s, t, ar, ai] = [shared.re.data[n], shared.im.data[n], a.re.data[h], a.im.data[h]]
        error += (z.re.data[n * H + h] - (s * ar - t * ai)) ** 2 + (z.im.data[n * H + h] - (s * ai + t * ar)) ** 2
      }
    expect(error).toBeCloseTo(
      values.slice(1).reduce((s, e) => s + e, 0),
      10,
    )
  })
})

describe('section 5: latent attention', () => {
  test('RoRoPE with unitary U per frequency: scores unchanged at full rank, more energy on top than a real U', () => {
    const [q, k] = [project(weight(6)), project(weight(7))]
    let [complexTop, realTop, total, worst] = [0, 0, 0, 0]
    for (let f = 0; f < F; f++) {
      const [zq, zk] = [atFrequency(q, f), atFrequency(k, f)]
      const c = complexGram(zk)
      const { values, vectors: u } = eighHermitian(c)
      complexTop += values[0]
      realTop += eigh(c.re).values[0]
      total += values.reduce((s, e) => s + e, 0)
      const conjugate = {
        re: u.re,
        im: matrix(
          H,
          H,
          u.im.data.map(t => -t),
        ),
      } // rows z become U^H z
      const before = complexMatmul(zq, zk, { adjointB: true })
      const after = complexMatmul(complexMatmul(zq, conjugate), complexMatmul(zk, conjugate), { adjointB: true })
      worst = Math.max(worst, distance(before.re.data, after.re.data), distance(before.im.data, after.im.data))
      expect(unitaryOff(u)).toBeLessThan(1e-14)
    }
    expect(worst).toBeLessThan(1e-12)
    expect(complexTop / total).toBeGreaterThan(realTop / total)
  })

  test('joint K and V PCA: exact at full rank; balancing helps the smaller V', () => {
    const [k, v] = [project(rowsOf(weight(8), 0, 32)), project(rowsOf(weight(9), 0, 32))]
    const ratio = 8
    const errors = (scale: number, r: number) => {
      const both = build(T, 64, (i, j) => (j < 32 ? (k.data[i * 32 + j] * ratio) / scale : v.data[i * 32 + j - 32]))
      const { vectors } = eigh(gram(both), { count: r })
      const low = matmul(matmul(both, vectors), vectors, { transB: true })
      return [0, 32].map(at => relative(columns(low, range(at, 32)), columns(both, range(at, 32))))
    }
    expect(Math.max(...errors(1, 64))).toBeLessThan(1e-14)
    const [plain, balanced] = [errors(1, 24), errors(ratio, 24)]
    expect(balanced[1]).toBeLessThan(plain[1])
  })
})

describe('sections 6 and 9: shared layers and projections', () => {
  test('ridge fits recover the map between layers, real and complex', () => {
    const v = project(rowsOf(weight(10), 0, d))
    const b = entries(d, d, 11)
    expect(relative(ridge({ x: v, y: matmul(v, b) }, 0), b)).toBeLessThan(1e-9)
    expect(frobenius(ridge({ x: v, y: matmul(v, b) }, 10))).toBeLessThan(frobenius(b))
    const [z, map] = [atFrequency(project(weight(12)), 1), { re: entries(H, H, 13), im: entries(H, H, 14) }]
    const found = complexRidge(z, complexMatmul(z, map), 0)
    expect(Math.max(distance(found.re.data, map.re.data), distance(found.im.data, map.im.data))).toBeLessThan(1e-9)
  })

  test('K = V: all heads together are exact, one head is not', () => {
    const square = weight(15) // H d = D
    const [k, v] = [matmul(entries(2 * D, D, 17), square), matmul(entries(2 * D, D, 17), weight(16))]
    expect(relative(matmul(k, lstsq(k, v)), v)).toBeLessThan(1e-10)
    const one = columns(k, range(0, d))
    expect(relative(matmul(one, lstsq(one, v)), v)).toBeGreaterThan(0.1)
    expect(relative(matmul(square, solve(square, weight(16))), weight(16))).toBeLessThan(1e-10)
  })

  test('Q = K: a signed factor of the symmetric part beats a positive one', () => {
    const m = matmul(rowsOf(weight(18), 0, d), rowsOf(weight(19), 0, d), { transA: true }) // (D, D)
    const half = build(D, D, (i, j) => (m.data[i * D + j] + m.data[j * D + i]) / 2)
    const { values, vectors } = eigh(half)
    const bySize = range(0, D).sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]))
    const fit = (pick: number[]) => {
      const u = columns(vectors, pick)
      return relative(
        matmul(
          build(D, pick.length, (i, j) => u.data[i * pick.length + j] * values[pick[j]]),
          u,
          { transB: true },
        ),
        m,
      )
    }
    const antisymmetric = frobenius(minus(m, half)) / frobenius(m)
    expect(fit(bySize.slice(0, d))).toBeLessThan(fit(range(0, d)))
    expect(fit(bySize.slice(0, d))).toBeGreaterThanOrEqual(antisymmetric)
    expect(fit(bySize.slice(0, 2 * d))).toBeCloseTo(antisymmetric, 10)
  })
})
