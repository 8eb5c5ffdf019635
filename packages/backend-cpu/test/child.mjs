// Started by process.test.ts with the bundle's address, the device's options and what to do with a device that nobody closes.
import { isMainThread, Worker, workerData } from 'node:worker_threads'

const [bundle, options, how] = workerData ?? process.argv.slice(2)
const { cpu } = await import(bundle)

if (how === 'worker' && isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { workerData: [bundle, options, 'worker'] })
  worker.once('message', async () => {
    await worker.terminate() // in the middle of a run
    console.log('terminated')
  })
} else await busy()

async function busy() {
  const device = await cpu(JSON.parse(options))
  const n = 2 ** 20
  const slots = [0, 1].map(() => ({ buffer: device.alloc(4 * n), offset: 0 }))
  const bind = slots.map((_, slot) => ({ slot, offset: 0, bytes: 4 * n, write: slot === 1 }))
  const launch = { text: 'copy', op: 'copy', threadScratch: 0, params: [n], bind }
  const program = await device.load({ launches: Array(how === 'idle' ? 10 : 100_000).fill(launch), lengths: [], slots: 2 })
  const run = program.run([], slots)
  if (how === 'idle') {
    await run
    console.log('ran')
  } else
    setTimeout(async () => {
      if (how === 'exit') process.exit(3)
      const { parentPort } = await import('node:worker_threads')
      parentPort?.postMessage('running')
    }, 50)
}
