import { type CpuDevice, type CpuOptions, cpu, type Doctor } from '@attune/backend-cpu'
import { folderOf, httpSource, openCheckpoint } from '@attune/weights'
import { type Answer, answer, load } from './answer.ts'
import { deepCheckpoint } from './deep-checkpoint.ts'

/** What a test asks of the page; results are plain data. */
export interface Page {
  readonly isolated: boolean
  open(options: CpuOptions): Promise<{ name: string; doctor: Doctor; warnings: string[] }>
  answer(folder: string, prompt: number[], maxTokens: number): Promise<Answer>
  /** Prefill and generation on a larger model beside a 10 ms timer: when the timer was late, by the wall clock in ms. */
  ticks(tokens: number): Promise<{ ticks: number; late: { from: number; to: number }[] }>
  close(): Promise<void>
}

let device: CpuDevice

const page: Page = {
  isolated: crossOriginIsolated,
  async open(options) {
    const warnings: string[] = []
    device = await cpu({ ...options, onWarning: message => warnings.push(message) })
    return { name: device.name, doctor: device.doctor(), warnings }
  },
  async answer(folder, prompt, maxTokens) {
    const files = ['config.json', 'generation_config.json', 'model.safetensors']
    const sources = await Promise.all(files.map(name => httpSource(`${folder}/${name}`, { name })))
    const model = await load(await openCheckpoint(folderOf(folder, sources)), device)
    const result = await answer(model, prompt, maxTokens)
    await model.dispose()
    return result
  },
  async ticks(tokens) {
    const model = await load(deepCheckpoint(), device)
    const prompt = Array.from({ length: 512 }, (_, i) => (i * 89) % 256)
    using session = model.session()
    const late: { from: number; to: number }[] = []
    let ticks = 0
    let last = performance.now()
    const tick = () => {
      const now = performance.now()
      if (now - last > 60) late.push({ from: performance.timeOrigin + last, to: performance.timeOrigin + now })
      last = now
      ticks++
    }
    const timer = setInterval(tick, 10)
    await session.complete(prompt, { maxTokens: tokens, temperature: 0, endIds: [] })
    clearInterval(timer)
    tick()
    return { ticks, late }
  },
  close: () => device.close(),
}

Object.assign(globalThis, { page })
