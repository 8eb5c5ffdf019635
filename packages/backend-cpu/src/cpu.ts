import { AttuneError } from '@attune/tensor'
import { CpuDevice } from './device.ts'
import { bestIsa, type Doctor, missingIsas } from './doctor.ts'
import type { Engine } from './engine.ts'
import { kernels } from './kernels/index.ts'
import { loadAddon, type NativeIsa, nativeEngine, nodeModule } from './native-engine.ts'
import { wasmEngine } from './wasm-engine.ts'
import { canShareMemory, hasRelaxedSimd, loadWasm } from './wasm-module.ts'

export interface CpuOptions {
  /** Threads that compute; by default as many as the machine runs at once, at most 32. */
  readonly threads?: number
  /** `auto` (default): the native addon where there is one, else WebAssembly. */
  readonly backend?: 'auto' | 'native' | 'wasm'
  /** An instruction set of the addon by name (`avx512`, `avx2`, `sse2`, `neon`); by default the best that this processor has. */
  readonly isa?: string
  /** WebAssembly: false runs on the calling thread in short slices, as on a page that is not cross-origin isolated. */
  readonly workers?: boolean
  /** Most bytes the device may hold; by default what the system gives. */
  readonly memory?: number
  /** Told once, in a sentence, when the device is slower than it could be. */
  readonly onWarning?: (message: string) => void
}

/**
 * Opens the CPU: one C++ kernel source, as a native addon or as WebAssembly. Throws ERR_UNSUPPORTED when what `options` ask for by name is
 * not there.
 */
export async function cpu(options: CpuOptions = {}): Promise<CpuDevice> {
  const { backend = 'auto', memory = Number.POSITIVE_INFINITY } = options
  const threads = Math.max(1, Math.floor(options.threads ?? Math.min(32, await parallelism())))
  const reasons: string[] = []
  let isas: readonly NativeIsa[] = []
  let engine: Engine | undefined
  if (backend !== 'wasm') {
    try {
      isas = await nativeIsas()
      engine = await nativeEngine(chooseIsa(isas, options.isa), threads)
      reasons.push(...missingIsas(isas).map(name => `the addon was built without ${name}, which this processor has`))
    } catch (cause) {
      if (backend === 'native' || options.isa) throw unsupported('the native addon cannot be used', cause)
      if (isNode) reasons.push(`no native addon: ${firstLine(cause)}`)
    }
  }
  if (!engine) {
    const workers = options.workers ?? canShareMemory()
    if (workers && !canShareMemory()) throw unsupported('workers cannot share memory: the page is not cross-origin isolated')
    if (!workers && options.workers === undefined) reasons.push('one thread: the page is not cross-origin isolated')
    if (!hasRelaxedSimd()) reasons.push('this engine has no relaxed SIMD')
    engine = await wasmEngine(await loadWasm(workers), threads, workers)
  }
  if (reasons.length > 0 && engine.kind === 'wasm' && backend === 'auto' && isNode)
    options.onWarning?.(`${reasons[0]}; running as WebAssembly`)
  const diagnosis: Doctor = { backend: engine.kind, isa: engine.isa, threads: engine.threads, native: isas, reasons }
  return new CpuDevice(engine, kernels, diagnosis, memory)
}

const isNode = typeof process === 'object' && process.versions?.node !== undefined

async function nativeIsas(): Promise<readonly NativeIsa[]> {
  if (!isNode) throw new Error('a browser has no native addons')
  return (await loadAddon()).isas
}

function chooseIsa(isas: readonly NativeIsa[], wanted: string | undefined): string {
  if (wanted === undefined) {
    const best = bestIsa(isas)
    if (!best) throw new Error(`the addon has no kernels for this processor (${isas.map(i => i.name).join(', ')})`)
    return best.name
  }
  const isa = isas.find(i => i.name === wanted)
  if (!isa?.built) throw new Error(`the addon was built without '${wanted}'`)
  if (!isa.supported) throw new Error(`this processor has no ${wanted}`)
  return wanted
}

async function parallelism(): Promise<number> {
  if (!isNode) return navigator.hardwareConcurrency || 1
  const os = await import(/* @vite-ignore */ nodeModule('os'))
  return os.availableParallelism()
}

const firstLine = (error: unknown): string => String(error instanceof Error ? error.message : error).split('\n')[0]
const unsupported = (message: string, cause?: unknown): AttuneError =>
  new AttuneError('ERR_UNSUPPORTED', cause === undefined ? message : `${message}: ${firstLine(cause)}`, {}, cause)
