import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { layPackage } from '../../packages/backend-cpu/build/prebuilt.mjs'
import { hostTarget, packageOf, targets } from '../../packages/backend-cpu/build/targets.mjs'
import { packAll } from '../lib/pack.mjs'
import { root } from '../lib/workspace.mjs'
import { pnpm, run } from '../setup/run.mjs'

export const title = 'the packed packages work in a project of their own (Node, a page by Vite), and so do variants written against them'

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
    const addon = localAddon(folder)
    lay(folder, packed, addon)
    for (const name of names) cpSync(join(projects, name), join(folder, name), { recursive: true })
    const { code, output } = await run({ ...pnpm(['install', '--prefer-offline', '--silent', '--no-frozen-lockfile']), cwd: folder })
    if (code !== 0) return [`installing the packed packages failed:\n${output}`]
    const loaded = await step(folder, 'loading every entry point', ['every.mjs'])
    const typed = await step(folder, 'compiling', ['node_modules/typescript/bin/tsc', '-p', '.'])
    const tested =
      names.length > 0 ? await step(folder, 'testing', ['node_modules/vitest/vitest.mjs', 'run', '--testTimeout=60000', ...names]) : []
    const opened = await step(root, 'loading a model through the front door', frontDoor, {
      ATTUNE_OUTSIDE: folder,
      ATTUNE_OUTSIDE_ADDON: addon?.name ?? '',
    })
    return [...loaded, ...typed, ...tested, ...opened]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const frontDoor = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'internal/outside/vitest.config.mjs']

/** The addon of this clone as the prebuilt package of this platform; undefined where none could be built. @param {string} folder */
function localAddon(folder) {
  const file = join(root, `packages/backend-cpu/dist/native/${process.platform}-${process.arch}.node`)
  const target = hostTarget()
  if (!target || !existsSync(file)) return undefined
  return { name: packageOf(target), file: layPackage(target, file, join(folder, 'prebuilt')) }
}

/** @param {string} folder @param {import('../lib/pack.mjs').Packed[]} packed @param {{ name: string, file: string } | undefined} addon */
function lay(folder, packed, addon) {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const tarballs = Object.fromEntries([...packed, ...(addon ? [addon] : [])].map(p => [p.name, `file:${p.file}`]))
  const absent = Object.fromEntries(targets.map(packageOf).flatMap(name => (name in tarballs ? [] : [[name, '-']])))
  const tools = Object.fromEntries(['@types/node', 'fast-check', 'typescript', 'vite', 'vitest'].map(name => [name, devDependencies[name]]))
  const manifest = { name: 'outside', private: true, type: 'module', dependencies: tarballs, devDependencies: tools }
  const settings = { overrides: { ...tarballs, ...absent }, autoInstallPeers: false, ignoredBuiltDependencies: ['esbuild'] }
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
  for (const file of ['answer.mjs', 'node.mjs', 'page.mjs', 'index.html']) cpSync(join(root, 'internal/outside', file), join(folder, file))
}

/** Everything that a package lets others import. @param {string} name @param {any} manifest */
const specifiers = (name, manifest) =>
  Object.entries(manifest.exports ?? {}).flatMap(([path, target]) => (typeof target === 'string' ? [] : [name + path.slice(1)]))

/** A variant is two files: anything else is a problem. @param {string} name @param {string[]} files @returns {string[]} */
export function shape(name, files) {
  if (files.length === 2 && files.includes(`${name}.ts`) && files.includes(`${name}.test.ts`)) return []
  return [`internal/third-party/${name} holds ${files.join(', ')}: a variant is ${name}.ts and ${name}.test.ts`]
}

/** @param {string} folder @param {string} what @param {string[]} args @param {Record<string, string>} [env] @returns {Promise<string[]>} */
async function step(folder, what, args, env) {
  const { code, output } = await run({ file: process.execPath, args, cwd: folder, env })
  return code === 0 ? [] : [`${what} failed outside the repository:\n${output}`]
}
