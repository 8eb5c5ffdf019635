// One thread of the WebAssembly device, in Node and in browsers: the leader runs jobs and reports each, a helper only takes chunks.
// Plain JavaScript at a fixed place beside src and dist, so that it can be started from either and by a bundler.

/**
 * @typedef {{ module: WebAssembly.Module, memory: WebAssembly.Memory, pool: number, stack: number, me: number }} Start
 * @param {{ postMessage(message: unknown): void }} port
 * @param {Start} start
 */
function live(port, { module, memory, pool, stack, me }) {
  const { exports } = new WebAssembly.Instance(module, { env: { memory, now: () => performance.now() * 1000 } })
  const wasm = /** @type {any} */ (exports)
  wasm.__stack_pointer.value = stack
  if (me > 0) {
    port.postMessage('ready')
    wasm.pool_help(pool, me)
  } else for (let job; (job = wasm.pool_serve(pool) >>> 0) !== 0; ) port.postMessage({ job, status: wasm.job_status(job) })
}

if (typeof process === 'object' && process.versions?.node) {
  const name = 'node:worker_threads'
  import(/* @vite-ignore */ name).then(({ parentPort, workerData }) => live(parentPort, workerData))
} else {
  self.onmessage = event => {
    live(/** @type {any} */ (self), event.data)
    self.close()
  }
}
