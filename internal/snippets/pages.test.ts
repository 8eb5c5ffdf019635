import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as testing from '@attune/testing'
import { models } from 'attune'
import { expect, it } from 'vitest'
import { root } from '../lib/workspace.mjs'
import { blocksOf, pages, pageText } from './blocks.ts'

it('docs/errors.md has every code and no other', () => {
  const source = readFileSync(join(root, 'packages/expr/src/error.ts'), 'utf8')
  const codes = [...source.matchAll(/\| '(ERR_\w+)'/g)].map(([, code]) => code)
  const listed = [...pageText('docs/errors.md').matchAll(/^\| `(ERR_\w+)`/gm)].map(([, code]) => code)
  expect(codes.length).toBeGreaterThan(10)
  expect(listed.sort()).toEqual(codes.sort())
})

it('examples by third parties are shown as they are', () => {
  const folder = join(root, 'internal/third-party')
  const theirs = readdirSync(folder).flatMap(name =>
    readdirSync(join(folder, name)).map(file => readFileSync(join(folder, name, file), 'utf8')),
  )
  const named = pages().flatMap(page => blocksOf(page))
  const shown = named.filter(b => b.file?.endsWith('.ts') || /from '@attune\/testing'/.test(b.code))
  expect(shown.filter(b => theirs.includes(b.code)).length).toBeGreaterThanOrEqual(5)
  for (const block of shown.filter(b => b.file)) expect(theirs, `${block.page}: ${block.file}`).toContain(block.code)
})

it('the README names every model type', () => {
  for (const { type } of models) expect(pageText('README.md')).toContain(`\`${type}\``)
})

it('the README of the suites names every suite', () => {
  const text = pageText('packages/testing/README.md')
  for (const name of Object.keys(testing).filter(n => n.startsWith('test'))) expect(text).toContain(`\`${name}(`)
})

it('links inside the repository lead somewhere', () => {
  for (const page of pages())
    for (const [, target] of pageText(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g))
      expect(existsSync(join(root, dirname(page), target)), `${page}: ${target}`).toBe(true)
})
