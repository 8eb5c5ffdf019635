import { expect, test } from 'vitest'
import { distance, entries, thrown } from '../test/helpers.ts'
import { gram, type Matrix, matmul, matrix, transpose } from './index.ts'

function naive(a: Matrix, b: Matrix): Float64Array {
  const out = new Float64Array(a.rows * b.cols)
  for (let i = 0; i < a.rows; i++)
    for (let p = 0; p < a.cols; p++) for (let j = 0; j < b.cols; j++) out[i * b.cols + j] += a.data[i * a.cols + p] * b.data[p * b.cols + j]
  return out
}

test.each([
  [1, 1, 1],
  [3, 5, 2],
  [4, 4, 4],
  [17, 9, 33],
  [100, 300, 70],
  [5, 1030, 260],
])('matmul %i x %i x %i equals plain loops, transposed or not', (m, n, k) => {
  const [a, b] = [entries(m, k, 1), entries(k, n, 2)]
  const exact = naive(a, b)
  const [at, bt] = [transpose(a), transpose(b)]
  expect(distance(matmul(a, b).data, exact)).toBeLessThan(1e-13)
  expect(matmul(at, b, { transA: true }).data).toEqual(matmul(a, b).data)
  expect(matmul(a, bt, { transB: true }).data).toEqual(matmul(a, b).data)
  expect(matmul(at, bt, { transA: true, transB: true }).data).toEqual(matmul(a, b).data)
})

test('tiles: sizes beyond one tile', () => {
  const [a, b] = [entries(20, 1700, 3), entries(1700, 1600, 4)]
  const product = matmul(a, b)
  expect(distance(product.data, naive(a, b))).toBeLessThan(1e-11)
  expect(distance(matmul(transpose(b), transpose(a)).data, transpose(product).data)).toBeLessThan(1e-11)
})

test('gram of float32 chunks accumulates in float64 and is exactly symmetric', () => {
  const [rows, cols] = [40, 1601]
  const x = Float32Array.from(entries(2 * rows, cols, 5).data)
  const wide = matrix(2 * rows, cols, Float64Array.from(x))
  const first = gram({ rows, cols, data: x.subarray(0, rows * cols) })
  const both = gram({ rows, cols, data: x.subarray(rows * cols) }, first)
  expect(both).toBe(first)
  expect(distance(both.data, matmul(wide, wide, { transA: true }).data)).toBeLessThan(1e-13)
  expect(distance(transpose(both).data, both.data)).toBe(0)
})

test('an infinity stays in its row', () => {
  const a = entries(6, 6, 1)
  a.data[0] = Infinity
  const c = matmul(a, entries(6, 6, 2))
  expect(c.data.slice(6).every(Number.isFinite)).toBe(true)
})

test('sizes are checked', () => {
  expect(thrown(() => matmul(matrix(2, 3), matrix(2, 3)))).toMatchObject({ code: 'ERR_SHAPE', data: { left: 3, right: 2 } })
  expect(thrown(() => gram(matrix(2, 3), matrix(2, 2))).code).toBe('ERR_SHAPE')
  expect(thrown(() => matrix(2, 2, [1])).message).toBe('matrix: data is 2 x 2 but holds 1 numbers')
  expect(matmul(matrix(2, 0), matrix(0, 3)).data).toEqual(new Float64Array(6))
})
