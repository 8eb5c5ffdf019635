import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { call } from './call.mjs'
import { cache } from './files.mjs'

/** The wheel's version is in here, with its hashes. */
const requirements = fileURLToPath(new URL('zig.txt', import.meta.url))

/**
 * Zig, which brings clang, linkers and the C libraries of every target: `ZIG`, else the wheel of its own makers, got once through pip. A
 * wheel runs nothing when it is installed.
 */
export async function findZig() {
  const path = process.env.ZIG ?? (await install())
  const version = (await call(path, ['version'])).trim()
  const caches = { ZIG_GLOBAL_CACHE_DIR: join(cache, 'zig', 'cache'), ZIG_LOCAL_CACHE_DIR: join(cache, 'zig', 'cache') }
  return { version, run: (/** @type {string[]} */ args) => call(path, args, caches) }
}

async function install() {
  const home = join(cache, 'zig', 'wheel')
  const path = join(home, 'ziglang', process.platform === 'win32' ? 'zig.exe' : 'zig')
  const pythons = [process.env.PYTHON, 'python3', 'python'].filter(name => name !== undefined)
  const wanted = ['--quiet', '--no-deps', '--only-binary=:all:', '--require-hashes', '--upgrade', '--target', home, '-r', requirements]
  const tried = []
  for (const python of existsSync(path) ? [] : pythons) {
    try {
      await call(python, ['-m', 'pip', 'install', '--disable-pip-version-check', ...wanted])
      break
    } catch (error) {
      tried.push(String(error))
    }
  }
  if (existsSync(path)) return path
  throw new Error(`Zig is needed: name one in ZIG, or have Python with pip. ${tried.join('; ')}`)
}
