import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from './workspace.mjs'

const file = join(root, 'node_modules/.cache/attune/stamps.json')

/** Content stamps of the last successful steps. @returns {Record<string, string>} */
export function readStamps() {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return {}
  }
}

/** @param {string} step @param {string} stamp */
export function writeStamp(step, stamp) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify({ ...readStamps(), [step]: stamp }, null, 1))
}

/**
 * Hash over names and contents; a missing file counts as missing.
 * @param {string[]} files
 * @param {string[]} extra
 */
export function stampOf(files, extra = []) {
  const hash = createHash('sha256')
  for (const text of extra) hash.update(text).update('\0')
  for (const name of files)
    hash
      .update(name)
      .update('\0')
      .update(existsSync(name) ? readFileSync(name) : '')
      .update('\0')
  return hash.digest('hex')
}

/**
 * Every file below `dir`, sorted, without build output.
 * @param {string} dir
 * @param {(name: string) => boolean} keep
 * @returns {string[]}
 */
export function filesBelow(dir, keep = () => true) {
  if (!existsSync(dir)) return []
  return readdirSync(dir, { withFileTypes: true })
    .filter(e => !['node_modules', 'dist', '.cache', '.turbo', 'coverage'].includes(e.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(e => (e.isDirectory() ? filesBelow(join(dir, e.name), keep) : keep(e.name) ? [join(dir, e.name)] : []))
}
