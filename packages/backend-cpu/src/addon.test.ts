import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'tsup'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { layPackage } from '../build/prebuilt.mjs'
import { hostTarget, nameOf, packageOf, targets } from '../build/targets.mjs'
import { loadAddon, prebuiltPackage } from './addon.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const own = join(root, `dist/native/${process.platform}-${process.arch}.node`)
const here = hostTarget()!
const folder = mkdtempSync(join(tmpdir(), 'attune-addon-'))
const installed = join(folder, 'node_modules', prebuiltPackage())

/** What doctor() says of an installed copy of this package, in which no build of its own lies. */
async function doctor(): Promise<{ backend: string; addon?: string; reasons: string[] }> {
  const script = `import { cpu } from './dist/index.js'; const d = await cpu(); console.log(JSON.stringify(d.doctor())); await d.close()`
  writeFileSync(join(folder, 'doctor.mjs'), script)
  const env = { ...process.env }
  delete env.ATTUNE_ADDON
  return JSON.parse((await promisify(execFile)(process.execPath, [join(folder, 'doctor.mjs')], { env })).stdout)
}

beforeAll(async () => {
  mkdirSync(folder, { recursive: true })
  cpSync(join(root, 'dist/wasm'), join(folder, 'dist/wasm'), { recursive: true })
  cpSync(join(root, 'worker'), join(folder, 'worker'), { recursive: true })
  cpSync(join(root, 'package.json'), join(folder, 'package.json'))
  await build({
    config: false,
    entry: { index: join(root, 'src/index.ts') },
    outDir: join(folder, 'dist'),
    clean: false,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    noExternal: [/.*/],
    splitting: false,
    silent: true,
    esbuildOptions: o => {
      o.conditions = ['attune-source']
    },
  })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('without the prebuilt package WebAssembly runs, and the reason names the package', async () => {
  const { backend, reasons } = await doctor()
  expect(backend).toBe('wasm')
  expect(reasons[0]).toContain(`no native addon: Cannot find module '${prebuiltPackage()}`)
})

test('the prebuilt package is used where it is installed, and refused in another version', async () => {
  expect(packageOf(here)).toBe(prebuiltPackage())
  cpSync(layPackage(here, own, join(folder, 'prebuilt')), installed, { recursive: true })
  expect(await doctor()).toMatchObject({ backend: 'native', addon: prebuiltPackage(), reasons: [] })
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  writeFileSync(join(installed, 'package.json'), JSON.stringify({ ...manifest, version: '99.0.0' }))
  const { backend, reasons } = await doctor()
  expect(backend).toBe('wasm')
  expect(reasons[0]).toBe(`no native addon: ${prebuiltPackage()} is version 99.0.0, @attune/backend-cpu is ${manifest.version}`)
})

test('every target is a package of its own that npm installs only where it runs, and that runs nothing', () => {
  for (const target of targets) {
    const laid = layPackage(target, own, join(folder, 'prebuilt'))
    const { name, os, cpu, libc, scripts, main, files } = JSON.parse(readFileSync(join(laid, 'package.json'), 'utf8'))
    expect(name).toBe(`@attune/backend-cpu-${nameOf(target)}`)
    expect([os, cpu, libc]).toEqual([[target.os], [target.cpu], target.libc && [target.libc]])
    expect([scripts, main, files]).toEqual([undefined, 'attune.node', ['attune.node']])
  }
  expect(new Set(targets.map(packageOf)).size).toBe(8)
})

test('ATTUNE_ADDON names the file to load', async () => {
  process.env.ATTUNE_ADDON = join(folder, 'none.node')
  await expect(loadAddon()).rejects.toThrow('none.node')
  process.env.ATTUNE_ADDON = own
  expect((await loadAddon()).from).toBe(own)
  delete process.env.ATTUNE_ADDON
})
