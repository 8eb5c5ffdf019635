// Run by load.test.ts in a process of its own: loads a checkpoint, disposes it, and says as JSON how much memory that took.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { type CpuOptions, cpu } from '@attune/backend-cpu'
import { createKit } from '@attune/kit'
import { gpt2, llama } from '@attune/models'
import { openModel } from '@attune/weights/node'

export interface Measured {
  /** Bytes of the weights on the device. */
  readonly weights: number
  /** Most resident bytes while loading, above those before. */
  readonly peak: number
  /** Resident bytes above those before once the model was disposed and, after that, the device closed. */
  readonly disposed: number
  readonly closed: number
  /** Threads of the process: before the device was opened, with the model, once it was disposed, once the device was closed. */
  readonly threads: readonly number[]
}

const [folder, options, weights] = process.argv.slice(2)
const threads: number[] = []
const count = (): void => void threads.push(readdirSync('/proc/self/task').length)
const kib = (field: string): number =>
  1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))![1])
const settled = async (): Promise<number> => {
  for (let i = 0; i < 5; i++) {
    globalThis.gc!()
    await sleep(50)
  }
  return kib('VmRSS')
}

await openModel(folder).then(c => c.close()) // what reading and its threads take
count()
const device = await cpu(JSON.parse(options) as CpuOptions)
const kit = createKit({ devices: [device], attention: [mha, mqa, gqa], models: [llama, gpt2] })
const checkpoint = await openModel(folder)
const before = await settled()
writeFileSync('/proc/self/clear_refs', '5') // from here on VmHWM is the peak
let bytes = 0
const model = await kit.load(checkpoint, {
  weights: weights as 'as-stored' | 'f32',
  onProgress: (_, total) => {
    bytes = total
  },
})
const peak = kib('VmHWM') - before
count()
await model.dispose()
const disposed = (await settled()) - before
count()
await device.close()
const closed = (await settled()) - before
count()
await checkpoint.close()
console.log(JSON.stringify({ weights: bytes, peak, disposed, closed, threads } satisfies Measured))
