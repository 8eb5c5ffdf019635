// Writes into every published package's manifest what follows from the rest of it (see lib/manifest.mjs).
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { complete, print } from '../lib/manifest.mjs'
import { published } from '../lib/workspace.mjs'

for (const p of published()) {
  const file = join(p.dir, 'package.json')
  const text = `${print(complete(p.manifest))}\n`
  if (text !== readFileSync(file, 'utf8')) {
    writeFileSync(file, text)
    console.log(`wrote ${p.path}/package.json`)
  }
}
