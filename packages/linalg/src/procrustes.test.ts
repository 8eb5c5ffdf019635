import { describe, expect, test } from 'vitest'
import { build, columnsOff, distance, entries, oracle } from '../test/helpers.ts'
import { detSign, matmul, nearestOrthogonal, procrustes, qr, transpose } from './index.ts'

describe('procrustes', () => {
  test('results of scipy', () => {
    expect(distance(procrustes(entries(20, 6, 24), entries(20, 6, 25)).data, oracle.procrustes)).toBeLessThan(1e-13)
    const cases = [
      [6, 0],
      [6, 1],
      [2, 0],
      [2, 1],
    ]
    cases.forEach(([d, s], i) => {
      const q = procrustes(entries(20, d, 26), entries(20, d, 27 + s), { proper: true })
      expect(distance(q.data, oracle.procrustesProper[i])).toBeLessThan(1e-13)
      expect(detSign(q)).toBe(1)
    })
  })

  test('finds a rotation again, and refuses a reflection when proper', () => {
    const q = qr(entries(12, 12, 1)).q
    const a = entries(50, 12, 2)
    const found = procrustes(a, matmul(a, q))
    expect(distance(found.data, q.data)).toBeLessThan(1e-13)
    const mirrored = build(2, 2, (i, j) => (i === j ? 1 - 2 * i : 0))
    expect(distance(nearestOrthogonal(mirrored).data, mirrored.data)).toBeLessThan(1e-15)
    expect(detSign(nearestOrthogonal(mirrored, { proper: true }))).toBe(1)
  })

  test('a singular cross Gram still gives an orthogonal matrix', () => {
    const flat = build(8, 8, (i, j) => (i < 3 && j < 3 ? i + 2 * j + 1 : 0))
    expect(columnsOff(nearestOrthogonal(flat))).toBeLessThan(1e-14)
  })

  test('conversions.md, section 2a: folding Q into Wv and Wo leaves the head unchanged', () => {
    const [d, wide] = [16, 64]
    const [wv, wo, x] = [entries(d, wide, 3), entries(wide, d, 4), entries(30, wide, 5)]
    const q = procrustes(matmul(x, wv, { transB: true }), entries(30, d, 6))
    const head = (v: typeof wv, o: typeof wo) => matmul(matmul(x, v, { transB: true }), o, { transB: true }).data
    const folded = head(matmul(transpose(q), wv), matmul(wo, q))
    expect(distance(folded, head(wv, wo))).toBeLessThan(2e-14 * wide)
  })
})
