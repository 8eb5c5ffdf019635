// Builds the JavaScript of the packages whose sources changed since their last build; no types.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'tsup'
import { filesBelow, readStamps, stampOf, writeStamp } from '../lib/stamp.mjs'
import { entries, packages, root } from '../lib/workspace.mjs'
import { options } from './options.mjs'

for (const p of packages()) {
  const names = Object.keys(entries(p))
  if (names.length === 0) continue
  const sources = [join(p.dir, 'package.json'), ...filesBelow(join(p.dir, 'src'), name => !name.endsWith('.test.ts'))]
  const stamp = stampOf([...sources, ...filesBelow(join(root, 'internal/build')), join(root, 'pnpm-lock.yaml')])
  if (readStamps()[`build ${p.path}`] === stamp && names.every(name => existsSync(join(p.dir, 'dist', `${name}.js`)))) continue
  process.chdir(p.dir)
  await build(options(p, { types: false }))
  writeStamp(`build ${p.path}`, stamp)
}
