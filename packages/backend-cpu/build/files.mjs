import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
export const sources = join(root, 'native')
export const dist = join(root, 'dist')
/** What only a release needs: Zig, addons of other platforms, their packages. Beside dist, which is packed. */
export const cache = join(root, '.cache')
/** Compiled sources by the hash of all that made them. */
export const objectFolder = join(dist, 'native', 'objects')

/** Every source of the kernels, name → bytes. */
export const readSources = () =>
  Object.fromEntries(
    readdirSync(sources)
      .filter(name => /\.(h|cpp)$/.test(name))
      .sort()
      .map(name => [name, readFileSync(join(sources, name))]),
  )

/** @param {(string | Uint8Array)[]} parts */
export function hashOf(parts) {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part).update('\0')
  return hash.digest('hex').slice(0, 24)
}

/** The source `name` and all it includes, directly or not, as hashable parts. @param {Record<string, Buffer>} files @param {string} name */
export function closure(files, name, seen = new Set()) {
  if (seen.has(name) || !files[name]) return []
  seen.add(name)
  /** @type {(string | Uint8Array)[]} */
  const parts = [name, files[name]]
  for (const [, inner] of files[name].toString().matchAll(/^#include "(.+)"/gm)) parts.push(...closure(files, inner, seen))
  return parts
}

/** True when `path` was made from exactly what `stamp` says. @param {string} path @param {string} stamp */
export const isFresh = (path, stamp) => existsSync(path) && existsSync(stampPath(path)) && readFileSync(stampPath(path), 'utf8') === stamp

/** @param {string} path */
const stampPath = path => join(dirname(path), `.${basename(path)}.stamp`)

/** Writes beside and renames: a running process keeps the old file, an interrupted build leaves none. @param {string} path @param {Uint8Array} bytes @param {string} stamp */
export function put(path, bytes, stamp) {
  mkdirSync(dirname(path), { recursive: true })
  const beside = `${path}.${process.pid}`
  writeFileSync(beside, bytes)
  renameSync(beside, path)
  writeFileSync(stampPath(path), stamp)
}

/** Removes an artifact that could not be rebuilt: a stale one must not be loaded. @param {string} path */
export function drop(path) {
  rmSync(path, { force: true })
  rmSync(stampPath(path), { force: true })
}
