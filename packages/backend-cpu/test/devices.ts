import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type CpuDevice, type CpuOptions, cpu } from '../src/index.ts'

/** The builds of the kernels that tests run on. */
export const builds: readonly { readonly name: string; readonly options: CpuOptions }[] = [
  { name: 'native', options: { backend: 'native' } },
  { name: 'wasm', options: { backend: 'wasm' } },
  { name: 'wasm on one thread', options: { backend: 'wasm', workers: false } },
]

let built = false
/** Opens a device on kernels that are up to date: builds what is not. */
export async function openCpu(options: CpuOptions = {}): Promise<CpuDevice> {
  if (!built) execFileSync(process.execPath, [fileURLToPath(new URL('../build/build.mjs', import.meta.url))], { stdio: 'pipe' })
  built = true
  return cpu(options)
}
