import { AttuneError } from '@attune/tensor'
import { firstLine, type LoadedAddon, loadAddon, nodeModule } from './addon.ts'
import { CpuDevice } from './device.ts'
import { bestIsa, type Doctor, missingIsas } from './doctor.ts'
import type { Engine } from './engine.ts'
import { kernels } from './kernels/index.ts'
import { nativeEngine } from './native-engine.ts'
import { wasmEngine } from './wasm-engine.ts'
import { canShareMemory, hasRelaxedSimd, loadWasm } from './wasm-module.ts'

export interface CpuOptions {
  /** Threads that compute; by default as many as the machine runs at once, at most 32. */
  readonly threads?: number
  /** `auto` (default): the native addon where there is one, else WebAssembly. */
  readonly backend?: 'auto' | 'native' | 'wasm'
  /**
   * A build of the kernels by name, never replaced by another: of the addon `avx512`, `avx2`, `sse2`, `neon`, of WebAssembly (with
   * `backend: 'wasm'`) `relaxed-simd`, `simd128`. By default the best that runs here.
   */
  readonly isa?: string
  /** WebAssembly: false runs on the calling thread in short slices, as on a page that is not cross-origin isolated. */
  readonly workers?: boolean
  /** Most bytes the device may hold; by default what the system gives. */
  readonly memory?: number
  /** Native: read weights where they lie in their files instead of copying them. Loading is immediate and memory is shared with other processes, but whoever changes such a file changes the model. */
  readonly mapFiles?: boolean
  /** Told once, in a sentence, when the device is slower than it could be. */
  readonly onWarning?: (message: string) => void
}

/**
 * Opens the CPU: one C++ kernel source, as a native addon or as WebAssembly. Throws ERR_UNSUPPORTED when what `options` ask for by name is
 * not there.
 */
export async function cpu(options: CpuOptions = {}): Promise<CpuDevice> {
  const { backend = 'auto', memory = Number.POSITIVE_INFINITY, mapFiles = false, onWarning } = options
  const threads = Math.max(1, Math.floor(options.threads ?? Math.min(32, await parallelism())))
  const reasons: string[] = []
  let loaded: LoadedAddon | undefined
  let engine: Engine | undefined
  if (backend !== 'wasm') {
    try {
      if (!isNode) throw new Error('a browser has no native addons')
      loaded = await loadAddon()
      engine = await openNative(loaded, options, threads, reasons)
    } catch (cause) {
      if (backend === 'native') throw unsupported('the native addon cannot be used', cause)
      if (isNode) {
        reasons.push(`no native addon: ${firstLine(cause)}`)
        onWarning?.(`${reasons[0]}; the CPU runs as WebAssembly, several times slower`)
      }
    }
  }
  engine ??= await openWasm(options, threads, reasons)
  const native = (loaded?.isas ?? []).map(({ name, built, supported }) => ({ name, built, supported }))
  const from = engine.kind === 'native' ? { addon: loaded?.from } : {}
  const diagnosis: Doctor = { backend: engine.kind, isa: engine.isa, threads: engine.threads, ...from, native, reasons }
  return new CpuDevice(engine, kernels, diagnosis, memory, mapFiles)
}

const isNode = typeof process === 'object' && process.versions?.node !== undefined

async function openNative(loaded: LoadedAddon, { isa }: CpuOptions, threads: number, reasons: string[]): Promise<Engine> {
  const { isas } = loaded
  const known = isa === undefined ? bestIsa(isas) : isas.find(i => i.name === isa)
  if (!known?.built) throw new Error(`the addon has no kernels for ${isa ?? `this processor (${isas.map(i => i.name).join(', ')})`}`)
  if (!known.supported) throw new Error(`this processor has no ${isa}`)
  if (isa === undefined) reasons.push(...missingIsas(isas).map(name => `the addon was built without ${name}, which this processor has`))
  return nativeEngine(loaded, known.name, threads)
}

async function openWasm({ isa, workers }: CpuOptions, threads: number, reasons: string[]): Promise<Engine> {
  if (isa !== undefined && isa !== 'simd128' && isa !== 'relaxed-simd') throw unsupported(`there is no WebAssembly build '${isa}'`)
  if (isa === 'relaxed-simd' && !hasRelaxedSimd()) throw unsupported('this engine has no relaxed SIMD')
  if (workers && !canShareMemory()) throw unsupported('workers cannot share memory: the page is not cross-origin isolated')
  const shared = workers ?? canShareMemory()
  if (!shared && workers === undefined) reasons.push('one thread: the page is not cross-origin isolated')
  if (!hasRelaxedSimd()) reasons.push('this engine has no relaxed SIMD')
  const relaxed = isa === undefined ? hasRelaxedSimd() : isa === 'relaxed-simd'
  return wasmEngine(await loadWasm(shared, relaxed), threads, shared)
}

async function parallelism(): Promise<number> {
  if (!isNode) return navigator.hardwareConcurrency || 1
  const os = await import(/* @vite-ignore */ nodeModule('os'))
  return os.availableParallelism()
}

const unsupported = (message: string, cause?: unknown): AttuneError =>
  new AttuneError('ERR_UNSUPPORTED', cause === undefined ? message : `${message}: ${firstLine(cause)}`, {}, cause)
