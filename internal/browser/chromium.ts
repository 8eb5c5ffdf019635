import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { brotliDecompressSync, createBrotliDecompress } from 'node:zlib'
import { type Browser, chromium } from 'playwright-core'
import { filesOfTar } from '../lib/tar.ts'
import { root } from '../lib/workspace.mjs'

/** Why the Chromium that npm installs cannot run here; undefined where it can. */
export const whyNoChromium: string | undefined =
  process.platform === 'linux' && process.arch === 'x64'
    ? undefined
    : `the Chromium from npm is built for linux x64; this is ${process.platform} ${process.arch}`

/** Starts the Chromium from npm. Nothing of it need be installed on the system, NSS included. `webgpu`: with WebGPU, on SwiftShader. */
export async function launchChromium({ webgpu = false } = {}): Promise<Browser> {
  const home = await unpacked()
  return chromium.launch({
    executablePath: join(home, 'chromium'),
    // Not the package's own list: --single-process and --disable-web-security take cross-origin isolation away.
    args: ['--headless=new', '--no-sandbox', '--disable-dev-shm-usage', ...(webgpu ? WEBGPU : ['--disable-gpu'])],
    chromiumSandbox: false,
    timeout: 180_000,
    env: { ...environment(), LD_LIBRARY_PATH: [join(home, 'lib'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':') },
  })
}

const WEBGPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan']

const environment = () => Object.fromEntries(Object.entries(process.env).filter((e): e is [string, string] => e[1] !== undefined))

/** The folder with the browser and its libraries, unpacked once per version and never seen half done. */
async function unpacked(): Promise<string> {
  const bin = join(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')), '../../bin')
  const { version } = JSON.parse(await readFile(join(bin, '../package.json'), 'utf8'))
  const home = join(root, '.cache', `chromium-${version}-swiftshader`)
  if (existsSync(home)) return home
  const beside = `${home}.${process.pid}`
  try {
    await mkdir(join(beside, 'lib'), { recursive: true })
    const browser = join(beside, 'chromium')
    await pipeline(createReadStream(join(bin, 'chromium.br')), createBrotliDecompress(), createWriteStream(browser))
    await chmod(browser, 0o755)
    const libraries = brotliDecompressSync(await readFile(join(bin, 'al2023.tar.br')))
    for (const [name, bytes] of filesOfTar(libraries)) await writeFile(join(beside, 'lib', basename(name)), bytes, { mode: 0o755 })
    // The GPU process looks for its drivers beside the browser.
    for (const [name, bytes] of filesOfTar(brotliDecompressSync(await readFile(join(bin, 'swiftshader.tar.br')))))
      await writeFile(join(beside, basename(name)), bytes, { mode: 0o755 })
    await rename(beside, home).catch(error => {
      if (!existsSync(home)) throw error // another process was first
    })
  } finally {
    await rm(beside, { recursive: true, force: true })
  }
  return home
}
