import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { filesOfTar } from '../lib/tar.ts'
import { root } from '../lib/workspace.mjs'

/** Why the Vulkan that npm installs cannot run here; undefined where it can. */
export const whyNoVulkan: string | undefined =
  process.platform === 'linux' && process.arch === 'x64'
    ? undefined
    : `the Vulkan from npm (SwiftShader) is built for linux x64; this is ${process.platform} ${process.arch}`

const WANTED = ['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json']
/** dlopen's flag that keeps a library in the process, though Node closes what is no addon. */
const NO_DELETE = 0x1000

/** Makes SwiftShader, Vulkan on the processor, this process's only Vulkan driver. Nothing need be installed on the system. */
export async function useSwiftShader(): Promise<void> {
  const folder = await unpacked()
  process.env.VK_ICD_FILENAMES = join(folder, 'vk_swiftshader_icd.json')
  try {
    // Loaded once by its path, the library is found by its name from then on: LD_LIBRARY_PATH is read only when a process starts.
    process.dlopen({ exports: {} } as NodeJS.Module, join(folder, 'libvulkan.so.1'), constants.dlopen.RTLD_NOW | NO_DELETE)
  } catch (error) {
    if (!/did not self-register/.test(String(error))) throw error
  }
}

/** The folder with the loader and the driver, unpacked once per version and never seen half done. */
async function unpacked(): Promise<string> {
  const bin = join(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')), '../../bin')
  const { version } = JSON.parse(await readFile(join(bin, '../package.json'), 'utf8'))
  const home = join(root, '.cache', `swiftshader-${version}`)
  if (existsSync(home)) return home
  const beside = `${home}.${process.pid}`
  try {
    await mkdir(beside, { recursive: true })
    const archive = brotliDecompressSync(await readFile(join(bin, 'swiftshader.tar.br')))
    for (const [name, bytes] of filesOfTar(archive))
      if (WANTED.includes(basename(name))) await writeFile(join(beside, basename(name)), bytes, { mode: 0o755 })
    const missing = WANTED.filter(name => !existsSync(join(beside, name)))
    if (missing.length > 0) throw new Error(`@sparticuz/chromium ${version} carries no ${missing.join(', ')}`)
    await rename(beside, home).catch(error => {
      if (!existsSync(home)) throw error // another process was first
    })
  } finally {
    await rm(beside, { recursive: true, force: true })
  }
  return home
}
