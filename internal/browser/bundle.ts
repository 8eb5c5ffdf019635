import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build, preview } from 'vite'
import { root } from '../lib/workspace.mjs'
import { type Served, serve } from './serve.ts'

export type Bundler = 'esbuild' | 'Vite'

export interface Bundle {
  readonly bundler: Bundler
  /** Made for it; the caller removes it. */
  readonly folder: string
  /** What the bundler made, ready to be served. */
  readonly output: string
}

/** Bundles the page from the packages' source, with what the README of backend-cpu says for this bundler. `model` is served as /model. */
export async function bundle(bundler: Bundler, model: string): Promise<Bundle> {
  const folder = await pageFolder(model)
  const output = await (bundler === 'Vite' ? bundleWithVite(folder) : bundleWithEsbuild(folder))
  return { bundler, folder, output }
}

/** Serves the bundle; an isolated one of Vite's by Vite itself, with the headers that the README has in its config. */
export async function host({ bundler, folder, output }: Bundle, isolated: boolean): Promise<Served> {
  if (bundler === 'esbuild' || !isolated) return serve(output, isolated)
  const server = await preview({ root: folder, logLevel: 'warn', preview: { host: '127.0.0.1', port: 0 } })
  return { url: server.resolvedUrls!.local[0], close: () => server.close() }
}

/** A folder in which packages resolve, with the page and a model for it under /model. */
async function pageFolder(model: string): Promise<string> {
  await mkdir(join(root, 'internal/.cache'), { recursive: true })
  const folder = await mkdtemp(join(root, 'internal/.cache/page-'))
  await writeFile(join(folder, 'page.ts'), "import '../../browser/page.ts'\n")
  await cp(model, join(folder, 'public/model'), { recursive: true })
  return folder
}

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
