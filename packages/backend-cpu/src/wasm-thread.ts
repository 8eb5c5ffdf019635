/** A worker of the pool, alike in Node and in browsers. */
export interface Thread {
  /** Whether the process stays alive for its sake (Node). */
  hold(on: boolean): void
  end(): Promise<void>
}

export interface ThreadStart {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly pool: number
  readonly stack: number
  /** 0: the leader. */
  readonly me: number
}

/** Starts worker/worker.js. `heard` gets what it posts, `failed` its death. */
export function startThread(start: ThreadStart, heard: (message: any) => void, failed: (error: Error) => void): Thread {
  if (typeof process === 'object' && process.versions?.node !== undefined) {
    const { Worker } = process.getBuiltinModule('worker_threads')
    const worker = new Worker(new URL('../worker/worker.js', import.meta.url), { workerData: start, execArgv: [] })
    worker.on('message', heard)
    worker.on('error', failed)
    worker.unref() // after the listeners: adding one holds the process again
    return {
      hold: on => (on ? worker.ref() : worker.unref()),
      end: async () => void (await worker.terminate()),
    }
  }
  const worker = new Worker(new URL('../worker/worker.js', import.meta.url), { type: 'module' })
  worker.onmessage = event => heard(event.data)
  worker.onerror = event => failed(new Error(event.message))
  worker.postMessage(start)
  return { hold() {}, end: async () => worker.terminate() }
}
