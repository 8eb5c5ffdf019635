import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { SOURCES, WASM } from './core.wasm.ts'

test('core.wasm.ts was built from the C sources beside it and stays below 30 kB', () => {
  const folder = new URL('../native/', import.meta.url)
  const names = readdirSync(folder).filter(name => /\.[ch]$/.test(name))
  const hash = createHash('sha256')
  for (const name of names.sort()) hash.update(name).update(readFileSync(new URL(name, folder), 'utf8'))
  expect(SOURCES).toBe(hash.digest('hex'))
  expect(atob(WASM).length).toBeLessThan(30_000)
})
