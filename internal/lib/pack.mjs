import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPackageFromTarballData } from '@arethetypeswrong/core'
import { pnpm, run, turbo } from '../setup/run.mjs'
import { published, root } from './workspace.mjs'

/** @typedef {{ name: string, path: string, file: string, content: import('@arethetypeswrong/core').Package }} Packed `path` in the repository, `file` the tarball. */

/** @type {Promise<Packed[]> | undefined} */
let packing

/** Writes into backend-cpu's packed manifest which prebuilt addons there are (see the file). */
const hooks = join(root, 'internal/release/pnpmfile.cjs')

/**
 * Builds every published package with its types and packs it into a folder outside the repository, as a release would. Once per
 * process; the folder goes away with it.
 * @returns {Promise<Packed[]>}
 */
export const packAll = () => (packing ??= pack())

async function pack() {
  const folder = mkdtempSync(join(tmpdir(), 'attune-pack-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return packInto(folder)
}

/** @param {string} folder @returns {Promise<Packed[]>} */
export async function packInto(folder) {
  const packing = pnpm(['--filter=./packages/*', '--filter=./apps/*', 'pack', '--pack-destination', folder])
  for (const command of [turbo(['build']), { ...packing, env: { ...packing.env, npm_config_global_pnpmfile: hooks } }]) {
    const { code, output } = await run(command)
    if (code !== 0) throw new Error(`${command.args.join(' ')} failed:\n${output}`)
  }
  const files = readdirSync(folder)
  return published().map(({ name, path, manifest }) => {
    const file = join(folder, `${name.replace('@', '').replace('/', '-')}-${manifest.version}.tgz`)
    if (!files.some(f => file.endsWith(f))) throw new Error(`${name} was not packed: ${folder} holds ${files.join(', ')}`)
    return { name, path, file, content: createPackageFromTarballData(readFileSync(file)) }
  })
}
