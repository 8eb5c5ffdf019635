import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packAll } from '../lib/pack.mjs'
import { root } from '../lib/workspace.mjs'
import { pnpm, run } from '../setup/run.mjs'

export const title = 'the packed packages work in a project of their own, and so do variants written against them'

/** A folder in here is one project of a third party: one source file and one test file, nothing else. */
const projects = join(root, 'internal/third-party')

export async function check() {
  const packed = await packAll().catch(() => undefined)
  if (!packed) return ['there are no packed packages: see the check `packages`']
  const names = existsSync(projects) ? readdirSync(projects) : []
  const wrong = names.flatMap(name => shape(name, readdirSync(join(projects, name))))
  if (wrong.length > 0) return wrong
  const folder = mkdtempSync(join(tmpdir(), 'attune-outside-'))
  try {
    lay(folder, packed)
    for (const name of names) cpSync(join(projects, name), join(folder, name), { recursive: true })
    const { code, output } = await run({ ...pnpm(['install', '--prefer-offline', '--silent', '--no-frozen-lockfile']), cwd: folder })
    if (code !== 0) return [`installing the packed packages failed:\n${output}`]
    const loaded = await step(folder, 'loading every entry point', ['every.mjs'])
    const typed = await step(folder, 'compiling', ['node_modules/typescript/bin/tsc', '-p', '.'])
    const tested = names.length > 0 ? await step(folder, 'testing', ['node_modules/vitest/vitest.mjs', 'run', ...names]) : []
    return [...loaded, ...typed, ...tested]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @param {string} folder @param {import('../lib/pack.mjs').Packed[]} packed */
function lay(folder, packed) {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const tarballs = Object.fromEntries(packed.map(p => [p.name, `file:${p.file}`]))
  const tools = Object.fromEntries(['@types/node', 'fast-check', 'typescript', 'vitest'].map(name => [name, devDependencies[name]]))
  const manifest = { name: 'outside', private: true, type: 'module', dependencies: tarballs, devDependencies: tools }
  const settings = { overrides: tarballs, autoInstallPeers: false, ignoredBuiltDependencies: ['esbuild'] }
  const compilerOptions = {
    strict: true,
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2023', 'dom', 'esnext.disposable'],
    types: ['node'],
    skipLibCheck: false,
    noEmit: true,
    allowImportingTsExtensions: true,
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'pnpm-workspace.yaml'), JSON.stringify(settings)) // JSON is YAML
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*/*.ts', 'every.mts'] }))
  const names = packed.flatMap(p => specifiers(p.name, JSON.parse(p.content.readFile(`/node_modules/${p.name}/package.json`))))
  const imports = names.map((name, i) => `import * as _${i} from '${name}'\n`).join('')
  const use = `export const all = [${names.map((_, i) => `_${i}`).join(', ')}]\n`
  writeFileSync(join(folder, 'every.mjs'), imports + use)
  writeFileSync(join(folder, 'every.mts'), imports + use)
}

/** Everything that a package lets others import. @param {string} name @param {any} manifest */
const specifiers = (name, manifest) =>
  Object.entries(manifest.exports ?? {}).flatMap(([path, target]) => (typeof target === 'string' ? [] : [name + path.slice(1)]))

/** A variant is two files: anything else is a problem. @param {string} name @param {string[]} files @returns {string[]} */
export function shape(name, files) {
  if (files.length === 2 && files.includes(`${name}.ts`) && files.includes(`${name}.test.ts`)) return []
  return [`internal/third-party/${name} holds ${files.join(', ')}: a variant is ${name}.ts and ${name}.test.ts`]
}

/** @param {string} folder @param {string} what @param {string[]} args @returns {Promise<string[]>} */
async function step(folder, what, args) {
  const { code, output } = await run({ file: process.execPath, args, cwd: folder })
  return code === 0 ? [] : [`${what} failed outside the repository:\n${output}`]
}
