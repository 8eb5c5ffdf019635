import { AttuneError } from '@attune/tensor'
import { Heap } from './heap.ts'
import { type Runner, slicedRunner, type WasmExports, workerRunner } from './wasm-runner.ts'

export const page = 65536

/** A heap with the kernels over it and what runs them. */
export interface WasmInstance {
  readonly wasm: WasmExports
  readonly memory: WebAssembly.Memory
  readonly heap: Heap
  readonly runner: Runner
  /** Bytes the heap may grow to. */
  readonly most: number
}

/** Opens a heap with `threads` workers, or with none: then jobs run on the calling thread. */
export function openInstance(module: WebAssembly.Module, threads: number, workers: boolean): WasmInstance {
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
  const heap = new Heap(wasm.__heap_base.value, memory.buffer.byteLength, grow)
  const pool = heap.alloc(wasm.pool_bytes())!.address
  wasm.pool_open(pool, workers ? threads : 1)
  const runner = workers ? workerRunner(wasm, { module, memory, pool }, threads, heap) : slicedRunner(wasm, pool)
  return { wasm, memory, heap, runner, most: maximum * page }
}

/** As much address space as the engine grants: 4, 2 or 1 GiB. Pages are only backed once touched. */
export function openMemory(shared: boolean): { memory: WebAssembly.Memory; maximum: number } {
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
