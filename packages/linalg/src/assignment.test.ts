import { expect, test } from 'vitest'
import { build, entries, oracle, thrown } from '../test/helpers.ts'
import { assignment, type Matrix, matrix } from './index.ts'

const total = (cost: Matrix, columns: Int32Array) => columns.reduce((t, c, r) => t + cost.data[r * cost.cols + c], 0)

test.each([
  ['square30', entries(30, 30, 29), {}],
  ['wide12x20', entries(12, 20, 30), {}],
  ['largest15', entries(15, 15, 31), { maximize: true }],
])('%s as scipy', (name, cost, options) => {
  const columns = assignment(cost, options)
  expect([...columns]).toEqual(oracle.assignment[name].columns)
  expect(total(cost, columns)).toBeCloseTo(oracle.assignment[name].total, 12)
})

test('ties: the same total, every column once', () => {
  const cost = build(20, 20, (i, j) => Math.floor(entries(20, 20, 32).data[i * 20 + j] * 4))
  const columns = assignment(cost)
  expect(total(cost, columns)).toBe(oracle.assignment.ties20)
  expect(new Set(columns).size).toBe(20)
})

test('every permutation of small integer costs', () => {
  for (let seed = 0; seed < 30; seed++) {
    const cost = build(4, 4, (i, j) => Math.round(entries(4, 4, seed).data[i * 4 + j] * 6))
    let best = Infinity
    for (let code = 0; code < 256; code++) {
      const columns = Int32Array.of(code & 3, (code >> 2) & 3, (code >> 4) & 3, code >> 6)
      if (new Set(columns).size === 4) best = Math.min(best, total(cost, columns))
    }
    expect(total(cost, assignment(cost))).toBe(best)
  }
})

test('refuses more rows than columns and NaN', () => {
  expect(thrown(() => assignment(matrix(3, 2))).code).toBe('ERR_SHAPE')
  expect(thrown(() => assignment(matrix(1, 1, [NaN]))).code).toBe('ERR_ARGUMENT')
})
