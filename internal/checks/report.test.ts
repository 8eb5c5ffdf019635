import { expect, test } from 'vitest'
import { report } from './report.mjs'
import { tally } from './vitest.mjs'

const file = (status: string, ...results: string[]) => ({
  status,
  assertionResults: results.map((status, i) => ({ status, fullName: `test ${i}` })),
})

test('the last line is the totals alone, after the names of what was skipped', () => {
  const lines: string[] = []
  expect(
    report(
      [
        { passed: 3, failed: 0, skipped: ['x'] },
        { passed: 2, failed: 1, skipped: [] },
      ],
      line => lines.push(line),
    ),
  ).toBe(1)
  expect(lines).toEqual(['skipped: x', '5 passed, 1 failed'])
})

test('nothing run is a failure', () => expect(report([{ passed: 0, failed: 0, skipped: [] }], () => {})).toBe(1))

test('a file that could not be loaded counts as one failed test', () => {
  expect(tally({ testResults: [file('passed', 'passed', 'skipped'), file('failed')] }, 1)).toEqual({
    passed: 1,
    failed: 1,
    skipped: ['test 1'],
  })
})

test('an error outside every test counts as one failed test', () => {
  expect(tally({ testResults: [file('passed', 'passed')] }, 1)).toEqual({ passed: 1, failed: 1, skipped: [] })
})
