import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { call } from './call.mjs'
import { closure, dist, drop, hashOf, isFresh, objectFolder, put, readSources, sources } from './files.mjs'
import { common, isas, unitsOf } from './flags.mjs'

/** Where the addon of this platform lies. */
export const addonPath = join(dist, 'native', `${process.platform}-${process.arch}.node`)

const absencePath = `${addonPath}.missing.txt`

/**
 * Compiles the kernels once per instruction set and links the addon. Returns one line saying what happened; throws with the reason
 * when it cannot be built. `only`: a subset of the instruction sets, for quick turns while writing a kernel.
 * @param {{ only?: string[] }} options
 */
export async function buildNative({ only } = {}) {
  const all = process.platform === 'win32' ? undefined : isas[process.arch]
  if (!all) throw new Error(`no native build for ${process.platform} ${process.arch}`)
  const sets = all.filter(isa => !only || only.includes(isa))
  const { compiler, version } = await findCompiler()
  const files = readSources()
  const target = [compiler, version, process.platform, process.arch]
  const units = unitsOf(sets).map(unit => ({
    ...unit,
    stamp: hashOf([...target, ...common, '-pthread', ...unit.flags, ...closure(files, unit.source)]),
  }))
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
    await call(compiler, [...common, '-pthread', ...flags, '-c', join(sources, source), '-o', beside])
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
