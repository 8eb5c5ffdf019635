import { AttuneError } from '@attune/tensor'
import type { Engine } from './engine.ts'
import { Heap } from './heap.ts'
import type { WasmBuild } from './wasm-module.ts'
import { slicedRunner, type WasmExports, workerRunner } from './wasm-runner.ts'

const page = 65536

/** Opens a WebAssembly heap with `threads` workers, or with none: then jobs run on the calling thread in short slices. */
export async function wasmEngine({ module, relaxed }: WasmBuild, threads: number, workers: boolean): Promise<Engine> {
  const { memory, maximum } = openMemory(workers)
  const instance = new WebAssembly.Instance(module, { env: { memory, now: () => performance.now() * 1000 } })
  const wasm = instance.exports as unknown as WasmExports
  const grow = (bytes: number): number | undefined => {
    try {
      memory.grow(Math.ceil(bytes / page))
    } catch {
      return undefined
    }
    return memory.buffer.byteLength
  }
  const view = (address: number, bytes: number): Uint8Array => new Uint8Array(memory.buffer, address, bytes)
  const heap = new Heap(wasm.__heap_base.value, memory.buffer.byteLength, grow)
  const pool = heap.alloc(wasm.pool_bytes())!.address
  wasm.pool_open(pool, workers ? threads : 1)
  const runner = workers ? await workerRunner(wasm, { module, memory, pool }, threads, heap) : slicedRunner(wasm, pool)
  return {
    kind: 'wasm',
    isa: relaxed ? 'relaxed-simd' : 'simd128',
    features: ['wasm', 'simd128', ...(relaxed ? ['relaxed-simd'] : []), ...(workers ? ['workers'] : [])],
    threads: workers ? threads : 1,
    kernels: kernelNames(wasm, memory),
    maxBufferBytes: maximum * page,
    available: () => heap.unused + maximum * page - memory.buffer.byteLength,
    alloc: bytes => heap.alloc(bytes),
    free: (address, bytes) => heap.free(address, bytes),
    copyIn: (address, bytes) => view(address, bytes.byteLength).set(bytes),
    copyOut: (address, into) => into.set(view(address, into.byteLength)),
    zero: (address, bytes) => void view(address, bytes).fill(0),
    submit: (job, ended) => runner.submit(job, ended),
    abort: job => wasm.job_abort(job),
    close: () => runner.close(),
  }
}

/** As much address space as the engine grants: 4, 2 or 1 GiB. Pages are only backed once touched. */
function openMemory(shared: boolean): { memory: WebAssembly.Memory; maximum: number } {
  let cause: unknown
  for (const maximum of [65536, 32768, 16384]) {
    try {
      return { memory: new WebAssembly.Memory({ initial: 64, maximum, shared }), maximum }
    } catch (error) {
      cause = error
    }
  }
  throw new AttuneError('ERR_OOM', 'the engine grants no WebAssembly memory of 1 GiB', { wanted: 16384 * page, available: 0 }, cause)
}

function kernelNames(wasm: WasmExports, memory: WebAssembly.Memory): string[] {
  const names: string[] = []
  for (let at = wasm.kernel_name(0); at !== 0; at = wasm.kernel_name(names.length)) {
    const bytes = new Uint8Array(memory.buffer, at, 256)
    names.push(String.fromCharCode(...bytes.slice(0, bytes.indexOf(0))))
  }
  return names
}
