import { AttuneError, Breath } from '@attune/tensor'
import type { Engine } from './engine.ts'
import { Heap } from './heap.ts'
import type { WasmBuild } from './wasm-module.ts'
import { startThread } from './wasm-thread.ts'

/** native/wasm.cpp */
interface Exports {
  readonly __heap_base: WebAssembly.Global
  pool_bytes(): number
  pool_open(pool: number, threads: number): void
  pool_submit(pool: number, job: number): void
  pool_stop(pool: number): void
  pool_slice(pool: number, job: number, us: number): number
  job_abort(job: number): void
  kernel_name(i: number): number
}

type Ended = (aborted: boolean, lost?: Error) => void
/** Starts jobs: with workers or on the calling thread. */
interface Runner {
  submit(job: number, ended: Ended): void
  close(): Promise<void>
}

const page = 65536
const stackBytes = 1 << 18

/** Opens a WebAssembly heap with `threads` workers, or with none: then jobs run on the calling thread in short slices. */
export async function wasmEngine({ module, relaxed }: WasmBuild, threads: number, workers: boolean): Promise<Engine> {
  const { memory, maximum } = openMemory(workers)
  const instance = new WebAssembly.Instance(module, { env: { memory, now: () => performance.now() * 1000 } })
  const wasm = instance.exports as unknown as Exports
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
  const runner = workers ? await workerRunner(wasm, module, memory, pool, threads, heap) : slicedRunner(wasm, pool)
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

function kernelNames(wasm: Exports, memory: WebAssembly.Memory): string[] {
  const names: string[] = []
  for (let at = wasm.kernel_name(0); at !== 0; at = wasm.kernel_name(names.length)) {
    const bytes = new Uint8Array(memory.buffer, at, 256)
    names.push(String.fromCharCode(...bytes.slice(0, bytes.indexOf(0))))
  }
  return names
}

async function workerRunner(
  wasm: Exports,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  pool: number,
  threads: number,
  heap: Heap,
): Promise<Runner> {
  const running = new Map<number, Ended>()
  let lost: Error | undefined
  const ended = ({ job, status }: { job: number; status: number }): void => {
    const f = running.get(job)
    running.delete(job)
    if (running.size === 0) leader.hold(false)
    f?.(status !== 0)
  }
  const failed = (error: Error): void => {
    lost = error
    for (const f of running.values()) f(true, error)
    running.clear()
  }
  const start = (me: number) => {
    const stack = heap.alloc(stackBytes)!.address + stackBytes
    return startThread({ module, memory, pool, stack, me }, ended, me === 0 ? failed : () => {}) // a dead helper only helps no more
  }
  const [leader, ...helpers] = await Promise.all(Array.from({ length: threads }, (_, me) => start(me)))
  return {
    submit(job, f) {
      if (lost) return f(true, lost)
      if (running.size === 0) leader.hold(true)
      running.set(job, f)
      wasm.pool_submit(pool, job)
    },
    async close() {
      wasm.pool_stop(pool)
      await Promise.all([leader, ...helpers].map(t => t.end()))
    },
  }
}

function slicedRunner(wasm: Exports, pool: number): Runner {
  const queue: { job: number; ended: Ended }[] = []
  const breath = new Breath()
  let active = false
  const work = async (): Promise<void> => {
    active = true
    for (let next = queue.shift(); next; next = queue.shift()) {
      let status: number
      do {
        await breath.pause()
        status = wasm.pool_slice(pool, next.job, breath.left * 1000)
      } while (status === 2)
      next.ended(status !== 0)
    }
    active = false
  }
  return {
    submit(job, ended) {
      queue.push({ job, ended })
      if (!active) void work()
    },
    async close() {},
  }
}
