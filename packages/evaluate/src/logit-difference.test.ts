import { expect, it } from 'vitest'
import { logitDifference } from './logit-difference.ts'

it('measures KL, the largest difference and the best tokens', () => {
  const logs = (p: number[]) => p.map(Math.log)
  const a = [...logs([0.5, 0.25, 0.25]), ...logs([0.2, 0.7, 0.1])]
  const b = [...logs([0.25, 0.5, 0.25]), ...logs([0.2, 0.7, 0.1]).map(x => x + 3)]
  const d = logitDifference(a, b, 3)
  expect(d.kl[0]).toBeCloseTo(0.25 * Math.LN2, 6)
  expect(d.kl[1]).toBeCloseTo(0, 7)
  expect(d).toMatchObject({ tokens: 2, topAgreement: 0.5, firstDivergence: 0 })
  expect(d.maxLogitDifference).toBeCloseTo(3, 9)
  expect(d.meanKl).toBeCloseTo(d.maxKl / 2, 6)
  expect(logitDifference(a, a, 3)).toMatchObject({ meanKl: 0, maxLogitDifference: 0, topAgreement: 1, firstDivergence: -1 })
  expect(() => logitDifference(a, b, 4)).toThrow(/no rows of 4/)
})
