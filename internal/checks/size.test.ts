import { expect, test } from 'vitest'
import { measure } from './size.mjs'

test('a page is weighed from source, package by package', async () => {
  const { bytes, parts } = await measure(`import { AttuneError } from '@attune/expr'\nconsole.log(AttuneError)`)
  expect(bytes).toBeGreaterThan(100)
  expect(bytes).toBeLessThan(2000)
  expect(parts[0]).toMatch(/^packages\/expr \d+$/)
})

test('what a page does not use is not in it', async () => {
  const { bytes } = await measure(`import {} from '@attune/tensor'\nimport { version } from 'node:process'\nconsole.log(version)`)
  expect(bytes).toBeLessThan(200)
})
