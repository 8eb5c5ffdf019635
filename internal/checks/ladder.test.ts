import { expect, test } from 'vitest'
import { importsOf } from '../lib/imports.mjs'
import { problems } from './ladder.mjs'

type Part = Partial<Parameters<typeof problems>[0][number]>
const node = (name: string, part: Part = {}) => ({ name: `@attune/${name}`, dependencies: [], development: [], uses: [], ...part })
const use = (from: string, typeOnly = false) => ({ file: 'f.ts', line: 1, from, typeOnly })

test('a package may import what stands below it and is listed', () => {
  expect(
    problems([node('expr'), node('tensor', { dependencies: ['@attune/expr'], uses: [use('@attune/expr'), use('.'), use('node:fs')] })]),
  ).toEqual([])
})

test('upward imports, unlisted imports and escapes are named', () => {
  const found = problems([
    node('ops', { dependencies: ['@attune/nn'], uses: [use('@attune/models'), use('@attune/expr'), use('(outside) ../../expr/src/a.ts')] }),
  ])
  expect(found).toHaveLength(4)
  expect(found.join('\n')).toMatch(
    /depends on @attune\/nn, which is not below it[\s\S]*imports @attune\/models, which is not below[\s\S]*does not list[\s\S]*reaches out/,
  )
})

test('core packages take nothing from outside and nobody lists the testing package', () => {
  expect(problems([node('cache', { dependencies: ['lodash'] })])[0]).toMatch(/no runtime dependency/)
  expect(problems([node('cache', { development: ['@attune/testing'] })])[0]).toMatch(/root package.json/)
})

test('the testing package may import what it exercises, but not a kit', () => {
  const testing = (other: string) => problems([node('testing', { dependencies: [other], uses: [use(other, false)] })])
  expect(testing('@attune/models')).toEqual([])
  expect(testing('@attune/kit')).not.toEqual([])
})

test('a cycle is reported with its path', () => {
  const found = problems([node('kit', { dependencies: ['@attune/zoo'] }), node('zoo', { dependencies: ['@attune/kit'] })])
  expect(found.at(-1)).toBe('the packages form a cycle: @attune/kit → @attune/zoo → @attune/kit')
})

test('an unknown package must be given a place', () => expect(problems([node('surprise')])[0]).toMatch(/no place on the ladder/))

test('all forms of import are read', () => {
  const text = `import a from 'a'\nimport type { B } from 'b'\nimport { type C } from 'c'\nexport * from 'd'\nawait import('e')\ntype F = import('f').F\nimport 'g'`
  expect(importsOf('x.ts', text)).toEqual([...'abcdefg'].map((from, i) => ({ from, typeOnly: 'bcf'.includes(from), line: i + 1 })))
})
