import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root folder. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** @typedef {{ name: string, dir: string, path: string, manifest: any }} Package `path` is relative to the root, with forward slashes. */

/**
 * Every package and app of the workspace that exists, packages first, in the order of their folders' names.
 * @returns {Package[]}
 */
export function packages() {
  return ['packages', 'apps'].flatMap(group => {
    const parent = join(root, group)
    if (!existsSync(parent)) return []
    return readdirSync(parent)
      .sort()
      .filter(name => existsSync(join(parent, name, 'package.json')))
      .map(name => {
        const dir = join(parent, name)
        const manifest = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'))
        return { name: manifest.name, dir, path: `${group}/${name}`, manifest }
      })
  })
}

/** The packages that are published: everything not marked private. */
export const published = () => packages().filter(p => !p.manifest.private)

/**
 * Entry points read from the source condition of `exports` and from `bin`: output name → source file.
 * @param {Package} p
 * @returns {Record<string, string>}
 */
export function entries(p) {
  /** @type {Record<string, string>} */
  const found = {}
  for (const target of Object.values(p.manifest.exports ?? {})) {
    const source = target?.['attune-source']
    if (typeof source === 'string' && source.endsWith('.ts')) found[source.replace(/^\.\/src\//, '').replace(/\.ts$/, '')] = source
  }
  for (const target of Object.values(p.manifest.bin ?? {})) {
    const name = String(target)
      .replace(/^(\.\/)?dist\//, '')
      .replace(/\.js$/, '')
    found[name] = `./src/${name}.ts`
  }
  return found
}
