import { expect, test } from 'vitest'
import { complete, print } from '../lib/manifest.mjs'
import { problems } from './exports.mjs'

const written = {
  name: '@attune/x',
  description: 'X.',
  license: 'Apache-2.0',
  exports: { './a': { 'attune-source': './src/a.ts', types: './dist/a.d.ts', default: './dist/a.js' }, './package.json': './package.json' },
}

test('the source condition stays inside', () => {
  const full = complete(written)
  expect(problems(full)).toEqual([])
  expect(full.publishConfig.exports).toEqual({
    './a': { types: './dist/a.d.ts', default: './dist/a.js' },
    './package.json': './package.json',
  })
  expect(JSON.parse(print(full))).toEqual(full)
})

test('a manifest that was not completed, an install script and a wrong target are named', () => {
  expect(problems(written)).toEqual([expect.stringContaining('npm run manifests')])
  expect(problems(complete({ ...written, scripts: { postinstall: 'x' } }))).toEqual(['has an install script'])
  const wrong = { './a': { 'attune-source': './src/a.ts', types: './dist/a.d.ts', default: './dist/b.js' } }
  expect(problems(complete({ ...written, exports: wrong }))).toEqual([expect.stringContaining('is not the build of ./src/a.ts')])
})
