import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { filesBelow, stampOf } from './stamp.mjs'

const dir = mkdtempSync(join(tmpdir(), 'attune-stamp-'))
afterAll(() => rmSync(dir, { recursive: true }))

test('files below a folder come sorted and without build output', () => {
  for (const folder of ['b', 'dist', 'node_modules']) mkdirSync(join(dir, folder))
  for (const file of ['b/x.ts', 'b/x.test.ts', 'a.ts', 'dist/y.js', 'node_modules/z.js']) writeFileSync(join(dir, file), file)
  expect(filesBelow(dir, name => !name.includes('.test.'))).toEqual([join(dir, 'a.ts'), join(dir, 'b/x.ts')])
  expect(filesBelow(join(dir, 'missing'))).toEqual([])
})

test('a stamp follows contents, names and extras', () => {
  const file = join(dir, 'a.ts')
  const before = stampOf([file])
  expect(stampOf([file])).toBe(before)
  expect(stampOf([file], ['x'])).not.toBe(before)
  writeFileSync(file, 'changed')
  expect(stampOf([file])).not.toBe(before)
  rmSync(file)
  expect(stampOf([file])).not.toBe(before)
})
