import { Breath } from '@attune/tensor'
import type { Heap } from './heap.ts'
import { startThread, type Thread } from './wasm-thread.ts'

/** native/wasm.cpp */
export interface WasmExports {
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

/** Starts jobs in order: on workers, or on the calling thread. A trap in a kernel ends the runner: memory may be half written. */
export interface Runner {
  submit(job: number, ended: Ended): void
  close(): Promise<void>
}

const stackBytes = 1 << 18

export interface WorkerPlace {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly pool: number
}

export function workerRunner(wasm: WasmExports, place: WorkerPlace, threads: number, heap: Heap): Runner {
  const running = new Map<number, Ended>()
  let lost: Error | undefined
  let leader: Thread | undefined
  const ended = ({ job, status }: { job: number; status: number }): void => {
    const f = running.get(job)
    running.delete(job)
    if (running.size === 0) leader?.hold(false)
    f?.(status !== 0)
  }
  const failed = (error: Error): void => {
    lost = error
    for (const f of running.values()) f(true, error)
    running.clear()
    leader?.hold(false)
  }
  const start = (me: number) => {
    const stack = heap.alloc(stackBytes)!.address + stackBytes
    let working = me === 0 // nobody waits for a helper that could not start
    const heard = (message: { job: number; status: number } | 'ready') => {
      if (message === 'ready') working = true
      else ended(message)
    }
    return startThread({ ...place, stack, me }, heard, error => working && failed(error))
  }
  const workers = Array.from({ length: threads }, (_, me) => start(me))
  leader = workers[0]
  return {
    submit(job, f) {
      if (lost) return f(true, lost)
      if (running.size === 0) leader?.hold(true)
      running.set(job, f)
      wasm.pool_submit(place.pool, job)
    },
    async close() {
      wasm.pool_stop(place.pool)
      await Promise.all(workers.map(t => t.end()))
    },
  }
}

export function slicedRunner(wasm: WasmExports, pool: number): Runner {
  const queue: { job: number; ended: Ended }[] = []
  const breath = new Breath()
  let active = false
  let lost: Error | undefined
  const run = async (job: number): Promise<boolean> => {
    for (;;) {
      await breath.pause()
      const status = wasm.pool_slice(pool, job, breath.left * 1000)
      if (status !== 2) return status !== 0
    }
  }
  const work = async (): Promise<void> => {
    active = true
    for (let next = queue.shift(); next; next = queue.shift()) {
      const { job, ended } = next
      const aborted = lost !== undefined || (await run(job).catch(error => Boolean((lost = error))))
      ended(aborted, lost)
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
