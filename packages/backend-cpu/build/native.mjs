import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { closure, dist, drop, hashOf, isFresh, objectFolder, put, readSources, sources } from './files.mjs'

const common = ['-std=c++17', '-O3', '-fPIC', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden', '-ffp-contract=off', '-pthread']

/** Flags of each instruction set; `-ffp-contract=off`: only an explicit vfma fuses, so results do not depend on the compiler. */
const flags = {
  sse2: ['-msse2', '-O2'], // no processor of the last ten years runs it: half the time to compile
  avx2: ['-mavx2', '-mfma', '-mf16c'],
  avx512: ['-mavx2', '-mfma', '-mf16c', '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mavx512vnni'],
  neon: [],
}
const isas = { x64: ['avx512', 'avx2', 'sse2'], arm64: ['neon'] }

/** Where the addon of this platform lies. */
export const addonPath = join(dist, 'native', `${process.platform}-${process.arch}.node`)

const absencePath = `${addonPath}.missing.txt`

/**
 * Compiles the kernels once per instruction set and links the addon. Returns one line saying what happened; throws with the reason
 * when it cannot be built. `only`: a subset of the instruction sets, for quick turns while writing a kernel.
 * @param {{ only?: string[] }} options
 */
export async function buildNative({ only } = {}) {
  /** @type {string[] | undefined} */
  const all = process.platform === 'win32' ? undefined : isas[/** @type {keyof typeof isas} */ (process.arch)]
  if (!all) throw new Error(`no native build for ${process.platform} ${process.arch}`)
  const sets = all.filter(isa => !only || only.includes(isa))
  const headers = dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json'))
  const { compiler, version } = await findCompiler()
  const files = readSources()
  const target = [compiler, version, process.platform, process.arch]
  const units = [
    ...sets.map(isa => ({ source: 'kernels.cpp', flags: [`-DISA=${isa}`, ...flags[/** @type {keyof typeof flags} */ (isa)]] })),
    { source: 'addon.cpp', flags: [...sets.map(isa => `-DWITH_${isa}`), `-I${join(headers, 'include')}`] },
  ].map(unit => ({ ...unit, stamp: hashOf([...target, ...common, ...unit.flags, ...closure(files, unit.source)]) }))
  const stamp = hashOf(units.map(u => u.stamp))
  if (isFresh(addonPath, stamp)) return `native: ${sets.join(' ')} up to date`
  mkdirSync(objectFolder, { recursive: true })
  const objects = await Promise.all(units.map(unit => compile(compiler, unit)))
  const linked = `${addonPath}.${process.pid}.linked`
  const undefinedSymbols = process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : []
  await call(compiler, ['-shared', '-pthread', ...undefinedSymbols, '-o', linked, ...objects])
  const bytes = readFileSync(linked)
  rmSync(linked)
  put(addonPath, bytes, stamp)
  rmSync(absencePath, { force: true })
  prune()
  return `native: ${sets.join(' ')} with ${version}, ${Math.round(bytes.length / 1024)} KiB`
}

/**
 * Leaves the reason why there is no addon where the device finds it (`doctor`).
 * @param {string} reason
 */
export function explainAbsence(reason) {
  drop(addonPath)
  mkdirSync(dirname(absencePath), { recursive: true })
  writeFileSync(absencePath, reason)
}

/** @param {string} compiler @param {{ source: string, flags: string[], stamp: string }} unit */
async function compile(compiler, { source, flags, stamp }) {
  const object = join(objectFolder, `${stamp}.o`)
  if (existsSync(object)) utimesSync(object, new Date(), new Date())
  else {
    const beside = `${object}.${process.pid}.o`
    await call(compiler, [...common, ...flags, '-c', join(sources, source), '-o', beside])
    put(object, readFileSync(beside), stamp)
    rmSync(beside)
  }
  return object
}

/** Keeps the objects of the last few builds. */
function prune() {
  const old = readdirSync(objectFolder)
    .map(name => join(objectFolder, name))
    .map(path => ({ path, time: statSync(path).mtimeMs }))
    .sort((a, b) => b.time - a.time)
    .slice(40)
  for (const { path } of old) rmSync(path, { force: true })
}

async function findCompiler() {
  const names = [process.env.CXX, 'clang++', 'g++', 'c++'].filter(name => name !== undefined && name !== '')
  for (const name of names) {
    const version = await call(String(name), ['--version']).catch(() => undefined)
    if (version !== undefined) return { compiler: String(name), version: version.split('\n')[0] }
  }
  throw new Error(`no C++ compiler found (tried ${names.join(', ')})`)
}

/** @param {string} file @param {string[]} args @returns {Promise<string>} */
function call(file, args) {
  return new Promise((done, fail) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let error = ''
    child.stdout.on('data', text => (out += text))
    child.stderr.on('data', text => (error += text))
    child.on('error', fail)
    child.on('close', code => (code === 0 ? done(out) : fail(new Error(`${file} ${args.at(-1)}: exit code ${code}\n${error}`))))
  })
}
