import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import * as expr from '../src/index.ts'

it('the example of the README gives what it says', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const lines = /```ts\n([\s\S]*?)```/
    .exec(readme)![1]
    .split('\n')
    .filter(line => !line.startsWith('import'))
  const claims = lines.map(line => / \/\/ → (.*)/.exec(line)?.[1]).filter(claim => claim !== undefined)
  const body = lines.map(line => (line.includes('// →') ? `results.push(${line.split(' // →')[0]})` : line)).join('\n')
  const results = new Function(...Object.keys(expr), `const results = []\n${body}\nreturn results`)(...Object.values(expr))
  expect(results).toEqual(claims.map(claim => JSON.parse(claim)))
  expect(results.length).toBeGreaterThan(4)
})
