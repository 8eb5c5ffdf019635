import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { root } from '../lib/workspace.mjs'

const html = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="app/page.js"></script>\n'

/**
 * Bundles the page from the packages' source into `out`, laid out as the README of backend-cpu says: the code one folder deep, and
 * beside that folder what it loads by itself. Returns what the bundle imports from outside.
 */
export async function bundle(out: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [join(root, 'internal/browser/page.ts')],
    outdir: join(out, 'app'),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['attune-source'],
    external: ['node:*'],
    metafile: true,
    logLevel: 'silent',
  })
  await mkdir(out, { recursive: true })
  await writeFile(join(out, 'index.html'), html)
  for (const part of ['dist/wasm', 'worker']) await cp(join(root, 'packages/backend-cpu', part), join(out, part), { recursive: true })
  return Object.values(metafile.outputs).flatMap(o => o.imports.map(i => i.path))
}
