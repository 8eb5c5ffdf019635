import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { llama3Divisors, llama3Scaling } from './rope-factors.ts'

const { cases } = JSON.parse(readFileSync(new URL('../../test/fixtures/llama3_divisors.json', import.meta.url), 'utf8'))

it.each(cases as { factor: number; theta: number; divisors: number[] }[])('finds factor $factor again', ({ factor, theta, divisors }) => {
  expect(llama3Scaling(divisors, theta)).toEqual({
    rope_type: 'llama3',
    factor,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  })
})

it('finds a context length that no published model has', () => {
  const scaling = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 48 }
  expect(llama3Scaling(llama3Divisors(scaling, 10000, 32), 10000)).toEqual(scaling)
})

it('does not take other divisors for it', () => {
  const { theta, divisors } = cases[0]
  expect(
    llama3Scaling(
      divisors.map((x: number, i: number) => (i === 30 ? x * 1.01 : x)),
      theta,
    ),
  ).toBeUndefined()
  expect(llama3Scaling(divisors, 10000)).toBeUndefined()
  expect(
    llama3Scaling(
      divisors.map(() => Number.NaN),
      theta,
    ),
  ).toBeUndefined()
})
