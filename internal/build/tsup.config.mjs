import { resolve } from 'node:path'
import { defineConfig } from 'tsup'
import { packages } from '../lib/workspace.mjs'
import { options } from './options.mjs'

/** The one build of every package: `pnpm build` runs it in each package's folder. */
export default defineConfig(() => {
  const p = packages().find(p => p.dir === resolve(process.cwd()))
  if (!p) throw new Error(`${process.cwd()} is not a package of this workspace`)
  return options(p, { types: true })
})
