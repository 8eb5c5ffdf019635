import fc from 'fast-check'
import { expect, it } from 'vitest'
import { inFormOf } from './json-form.ts'

it('keeps numbers as they were written', () => {
  const text =
    '{"a": 0.0, "b": [1, 2.0, {"c": -1e3}], "t": "x: 1.0, [", "n": null, "e": 1e-05, "\\u0064": 3.50, "big": 1000000000000000019884624838656}'
  const same = inFormOf(JSON.parse(text), text)
  expect(same.replace(/\s/g, '')).toBe(text.replace('\\u0064', 'd').replace(/\s/g, ''))
})
it('writes whole numbers where others stood as such, and others plainly', () => {
  const text = '{"theta": 10000.0, "count": 4, "drop": 0.1}'
  expect(inFormOf({ theta: 500000, count: 8, drop: 0, added: 1 }, text)).toBe(
    '{\n  "theta": 500000.0,\n  "count": 8,\n  "drop": 0.0,\n  "added": 1\n}\n',
  )
})
it('keeps the words of Python', () => {
  const text = '{"limit": [0.0, Infinity], "low": -Infinity, "none": NaN, "null": null}'
  const value = { limit: [0, Number.POSITIVE_INFINITY], low: Number.NEGATIVE_INFINITY, none: null, null: null }
  expect(inFormOf(value, text).replace(/\s/g, '')).toBe(text.replace(/\s/g, ''))
})
it('says what JSON says, whatever the earlier text', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (value, other) => {
      expect(JSON.parse(inFormOf(value, JSON.stringify(other)))).toEqual(JSON.parse(JSON.stringify(value)))
      expect(inFormOf(value, JSON.stringify(value, null, 2))).toBe(`${JSON.stringify(value, null, 2)}\n`)
    }),
  )
})
