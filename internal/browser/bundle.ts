import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'vite'
import { root } from '../lib/workspace.mjs'

export type Bundler = 'esbuild' | 'Vite'

/** A folder in which packages resolve; the caller removes it. */
export async function pageFolder(): Promise<string> {
  await mkdir(join(root, 'internal/.cache'), { recursive: true })
  const folder = await mkdtemp(join(root, 'internal/.cache/page-'))
  await writeFile(join(folder, 'page.ts'), "import '../../browser/page.ts'\n")
  return folder
}

/** Bundles the page from the packages' source, with what the README of backend-cpu says for this bundler. Returns the folder to serve. */
export const bundle = (folder: string, bundler: Bundler): Promise<string> =>
  bundler === 'Vite' ? bundleWithVite(folder) : bundleWithEsbuild(folder)

async function bundleWithEsbuild(folder: string): Promise<string> {
  const code = (await readmeCode('build.mjs')).replace('bundle: true', "bundle: true, conditions: ['attune-source']")
  await writeFile(join(folder, 'build.mjs'), code)
  const child = spawn(process.execPath, ['--conditions=attune-source', 'build.mjs'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const exit = await new Promise(done => child.on('close', done))
  if (exit !== 0) throw new Error(`the esbuild script of the README ended with ${exit}`)
  await writeFile(join(folder, 'public/index.html'), html('app/page.js'))
  return join(folder, 'public')
}

async function bundleWithVite(folder: string): Promise<string> {
  await writeFile(join(folder, 'vite.config.js'), await readmeCode('vite.config.js'))
  await writeFile(join(folder, 'index.html'), html('page.ts'))
  await build({
    root: folder,
    logLevel: 'warn',
    resolve: { conditions: ['attune-source', 'browser', 'module', 'import', 'default'] },
    build: { target: 'es2022' },
  })
  return join(folder, 'dist')
}

const html = (script: string) =>
  `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="${script}"></script>\n`

/** The block of code that begins with a comment naming `file`. */
async function readmeCode(file: string): Promise<string> {
  const readme = await readFile(join(root, 'packages/backend-cpu/README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(m => m[1])
  const block = blocks.find(b => b.startsWith(`// ${file}\n`))
  if (!block) throw new Error(`the README of backend-cpu shows no ${file}`)
  return block
}
