import { readFileSync } from 'node:fs'
import { checkPackage } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { packAll } from '../lib/pack.mjs'

export const title = 'packed packages hold only what they should, and publint and attw accept them'

export async function check() {
  const found = []
  for (const packed of await packAll()) {
    const problems = [...contents(packed.content), ...(await linted(packed)), ...(await typed(packed.content))]
    found.push(...problems.map(problem => `${packed.name}: ${problem}`))
  }
  return found
}

/** @param {import('@arethetypeswrong/core').Package} content */
export function contents(content) {
  const files = content.listFiles().map(file => file.replace(/^\/node_modules\/(@[^/]+\/)?[^/]+\//, ''))
  const manifest = content.readFile(`/node_modules/${content.packageName}/package.json`)
  const found = files
    .filter(file => !/^(package\.json|README\.md|LICENSE|worker\/.+\.js|assets\/.+|dist\/.+\.(js|js\.map|d\.ts|wasm))$/.test(file))
    .map(file => `packs ${file}`)
  for (const needed of ['README.md', 'LICENSE']) if (!files.includes(needed)) found.push(`packs no ${needed}`)
  for (const word of ['attune-source', 'workspace:'])
    if (manifest.includes(word)) found.push(`its packed package.json still says "${word}"`)
  return found
}

/** @param {import('../lib/pack.mjs').Packed} packed */
async function linted({ file }) {
  const tarball = readFileSync(file)
  const { messages, pkg } = await publint({ pack: { tarball: new Uint8Array(tarball).buffer }, strict: true })
  return messages.map(message => `publint: ${formatMessage(message, pkg, { color: false })}`)
}

/** ES modules only: what CommonJS and Node 10 make of it is not asked. @param {import('@arethetypeswrong/core').Package} content */
async function typed(content) {
  const result = await checkPackage(content)
  if (!result.types) return content.listFiles().some(file => /\/dist\/.*\.d\.ts$/.test(file)) ? ['attw: no types found'] : []
  const asked = result.problems.filter(
    p => !('resolutionKind' in p && ['node10', 'node16-cjs'].includes(p.resolutionKind)) && p.kind !== 'CJSResolvesToESM',
  )
  return asked.map(p => `attw: ${JSON.stringify(p)}`)
}
