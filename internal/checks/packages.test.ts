import { expect, test } from 'vitest'
import { shape } from './outside.mjs'
import { contents } from './packages.mjs'

const packed = (manifest: string, ...files: string[]) =>
  contents({
    packageName: '@attune/x',
    listFiles: () => files.map(file => `/node_modules/@attune/x/${file}`),
    readFile: () => manifest,
  } as unknown as Parameters<typeof contents>[0])

test('a packed package holds what was built, its readme and its licence', () => {
  const files = [
    'package.json',
    'README.md',
    'LICENSE',
    'dist/index.js',
    'dist/index.js.map',
    'dist/index.d.ts',
    'dist/wasm/simd.wasm',
    'worker/worker.js',
  ]
  expect(packed('{}', ...files)).toEqual([])
  expect(packed('{}', ...files, 'src/index.ts', 'dist/native/objects/a.o')).toEqual(['packs src/index.ts', 'packs dist/native/objects/a.o'])
  expect(packed('{}', 'package.json', 'README.md')).toEqual(['packs no LICENSE'])
})

test('nothing of the workspace stays in the packed manifest', () => {
  const found = packed('{"exports":{"attune-source":1},"dependencies":{"a":"workspace:^"}}', 'README.md', 'LICENSE')
  expect(found).toEqual([expect.stringContaining('attune-source'), expect.stringContaining('workspace:')])
})

test('a variant from outside is one source file and one test file', () => {
  expect(shape('mine', ['mine.test.ts', 'mine.ts'])).toEqual([])
  expect(shape('mine', ['mine.test.ts', 'mine.ts', 'help.ts'])).toEqual([expect.stringContaining('holds mine.test.ts, mine.ts, help.ts')])
})
