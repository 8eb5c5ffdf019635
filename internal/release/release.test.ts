import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { published, root } from '../lib/workspace.mjs'

const { hooks } = createRequire(import.meta.url)('./pnpmfile.cjs') as {
  hooks: { beforePacking(manifest: object): Promise<{ optionalDependencies?: Record<string, string> }> }
}

test('backend-cpu is packed with its prebuilt addons as optional dependencies, in exactly its version; the others as they are', async () => {
  const { optionalDependencies } = await hooks.beforePacking({ name: '@attune/backend-cpu', version: '1.2.3' })
  expect(Object.keys(optionalDependencies!)).toHaveLength(8)
  expect(new Set(Object.values(optionalDependencies!))).toEqual(new Set(['1.2.3']))
  expect(await hooks.beforePacking({ name: 'attune', version: '1.2.3' })).toEqual({ name: 'attune', version: '1.2.3' })
})

test('every changeset names packages that are published, and says what users notice', () => {
  const names = published().map(p => p.name)
  const folder = join(root, '.changeset')
  for (const file of readdirSync(folder).filter(name => name.endsWith('.md') && name !== 'README.md')) {
    const found = /^---\n([\s\S]*?)\n---\n([\s\S]+)$/.exec(readFileSync(join(folder, file), 'utf8'))
    expect(found, file).not.toBeNull()
    const entries = found![1].split('\n').filter(line => line.trim() !== '')
    expect(entries.length, file).toBeGreaterThan(0)
    for (const entry of entries) {
      const [, name, bump] = /^["'](.+)["']: (\w+)$/.exec(entry) ?? []
      expect(names, `${file}: ${entry}`).toContain(name)
      expect(bump, `${file}: ${entry}; .changeset/README.md says why`).toBe('patch')
    }
    expect(found![2].trim().length, file).toBeGreaterThan(10)
  }
  expect(names).toContain('@attune/cli')
})
