import { expect, test } from 'vitest'
import { problems } from './structure.mjs'

const source = (file: string, lines: number, first = '') => ({ file, text: `${first}\n`.padEnd(first.length + lines, '\n') })

test('small files pass', () => expect(problems([source('a.ts', 150), source('b.ts', 299), source('c.ts', 10)])).toEqual([]))

test('a long file needs its reason on top', () => {
  const short = Array.from({ length: 3 }, (_, i) => source(`s${i}.ts`, 9))
  expect(problems([...short, source('long.ts', 301)])).toEqual([expect.stringContaining('long.ts has 301 lines')])
  expect(problems([...short, source('long.ts', 301, '// Long because one table cannot be cut.')])).toEqual([])
})

test('the median is bounded and tests do not count for it', () => {
  expect(problems([source('a.ts', 151)])).toEqual(['the median source file has 151 lines: at most 150'])
  expect(problems([source('a.ts', 100), source('a.test.ts', 200), source('b.test.ts', 200)])).toEqual([])
})
