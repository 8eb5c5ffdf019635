import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { complete } from '../lib/manifest.mjs'
import { entries, published } from '../lib/workspace.mjs'

export const title = 'manifests publish what they declare: source exports only here, built exports outside'

export const check = () =>
  published().flatMap(p => [
    ...problems(p.manifest).map(problem => `${p.path}/package.json: ${problem}`),
    ...Object.values(entries(p)).flatMap(file => (existsSync(join(p.dir, file)) ? [] : [`${p.path}/package.json: ${file} does not exist`])),
    ...(existsSync(join(p.dir, 'README.md')) ? [] : [`${p.path} has no README.md`]),
  ])

/** @param {any} manifest @returns {string[]} */
export function problems(manifest) {
  const found = []
  if (!isDeepStrictEqual(manifest, complete(manifest)))
    found.push('publishConfig or scripts are not what follows from the rest: run `npm run manifests`')
  if (!manifest.description) found.push('no description')
  if (manifest.license !== 'Apache-2.0') found.push('the licence is not Apache-2.0')
  if (manifest.scripts && ['preinstall', 'install', 'postinstall', 'prepare'].some(name => name in manifest.scripts))
    found.push('has an install script')
  for (const [path, target] of Object.entries(manifest.exports ?? {})) {
    if (typeof target === 'string') continue
    const source = target['attune-source']
    if (!source) found.push(`exports["${path}"] names no attune-source`)
    else if (target.default !== source.replace('./src/', './dist/').replace(/\.ts$/, '.js'))
      found.push(`exports["${path}"].default is not the build of ${source}`)
    else if (target.types !== target.default.replace(/\.js$/, '.d.ts'))
      found.push(`exports["${path}"].types does not stand beside ${target.default}`)
  }
  return found
}
