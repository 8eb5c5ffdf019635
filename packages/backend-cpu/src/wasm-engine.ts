import { AttuneError } from '@attune/tensor'
import type { Engine } from './engine.ts'
import { freeMemory } from './free-memory.ts'
import { openInstance, type WasmInstance } from './wasm-instance.ts'
import type { WasmBuild } from './wasm-module.ts'

/**
 * Runs the kernels on a WebAssembly heap with `threads` workers, or with none: then jobs run on the calling thread in short slices. A heap
 * cannot shrink, so `rest` drops it whole; the next call that needs one opens another.
 */
export function wasmEngine({ module, relaxed }: WasmBuild, threads: number, workers: boolean): Engine {
  let open: WasmInstance | undefined = openInstance(module, threads, workers)
  let closed = false
  const now = (): WasmInstance => {
    if (closed) throw new AttuneError('ERR_DEVICE_LOST', 'the WebAssembly heap was closed', {})
    open ??= openInstance(module, threads, workers)
    return open
  }
  const view = (address: number, bytes: number): Uint8Array => new Uint8Array(now().memory.buffer, address, bytes)
  const drop = async (): Promise<void> => {
    const { runner } = open ?? {}
    open = undefined
    await runner?.close()
  }
  const { most } = open
  return {
    kind: 'wasm',
    isa: relaxed ? 'relaxed-simd' : 'simd128',
    features: ['wasm', 'simd128', ...(relaxed ? ['relaxed-simd'] : []), ...(workers ? ['workers'] : [])],
    threads: workers ? threads : 1,
    kernels: kernelNames(open),
    maxBufferBytes: most,
    available: () => (open ? availableIn(open) : Math.min(most, freeMemory())),
    alloc: bytes => now().heap.alloc(bytes),
    free: (address, bytes) => open?.heap.free(address, bytes),
    copyIn: (address, bytes) => view(address, bytes.byteLength).set(bytes),
    copyOut: (address, into) => into.set(view(address, into.byteLength)),
    zero: (address, bytes) => void view(address, bytes).fill(0),
    submit: (job, ended) => now().runner.submit(job, ended),
    abort: job => open?.wasm.job_abort(job),
    rest: drop,
    close() {
      closed = true
      return drop()
    },
  }
}

/** Addresses left, as far as the system has memory to put behind those not touched yet. */
const availableIn = ({ heap, memory, most }: WasmInstance): number =>
  Math.min(heap.unused + most - memory.buffer.byteLength, heap.reusable + freeMemory())

function kernelNames({ wasm, memory }: WasmInstance): string[] {
  const names: string[] = []
  for (let at = wasm.kernel_name(0); at !== 0; at = wasm.kernel_name(names.length)) {
    const bytes = new Uint8Array(memory.buffer, at, 256)
    names.push(String.fromCharCode(...bytes.slice(0, bytes.indexOf(0))))
  }
  return names
}
