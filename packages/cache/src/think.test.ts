import { readFileSync } from 'node:fs'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { allLogits, llama, modelFrom, noOutput, Runner, type Sequence } from '@attune/models'
import { bytesOf, type Device, reference } from '@attune/tensor'
import { nmse, poisoned, testCache, tinyModel, tokens } from '@attune/testing'
import { openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { contiguous } from './contiguous.ts'
import type { Keeper } from './keeper.ts'
import type { CacheManager } from './manager.ts'
import { think } from './think.ts'

const config = { dim: 24, heads: 4, kvHeads: 2, headDim: 8 }
testCache({ cache: think(), variant: gqa, config })

const model = tinyModel(gqa, config, { layers: 2 })
const ids = tokens(60)
const options = { window: 6, recent: 10 }

/** A manager and the keeper it opened last. */
function watched(cache: CacheManager): { cache: CacheManager; keeper(): Keeper } {
  let keeper: Keeper | undefined
  return { cache: { ...cache, open: o => (keeper = cache.open(o)) }, keeper: () => keeper! }
}
async function numbers(device: Device, keeper: Keeper, name: string): Promise<Uint8Array> {
  const buffer = keeper.buffers()[name]
  return (await device.read(buffer, 0, buffer.bytes)).slice()
}
async function following(runner: Runner, sequence: Sequence): Promise<Float32Array> {
  const out: number[] = []
  for (const id of ids.slice(50)) {
    const { data } = await (await runner.step([{ sequence, ids: [id] }], allLogits)).read('logits')
    for (const x of data) out.push(x)
  }
  return Float32Array.from(out)
}

const oracle: { ids: number[]; think: { ratio: number; window: number; channels: number[][][] }[] } = JSON.parse(
  readFileSync(new URL('../test/kept-rows.json', import.meta.url), 'utf8'),
)
it.each(oracle.think.map(c => [c.ratio, c] as const))('keeps the channels the oracle keeps when %d of them go', async (ratio, c) => {
  const folder = new URL('../../models/test/fixtures/llama-gqa-tied', import.meta.url).pathname
  const llamaModel = modelFrom(await openCheckpoint(await diskFolder(folder)), llama, new Map([mha, mqa, gqa].map(v => [v.name, v])))
  const device = reference()
  const { cache, keeper } = watched(think({ channels: 1 - ratio, window: c.window }))
  const runner = new Runner(llamaModel, device, { cache })
  await runner.feed(runner.open(), oracle.ids, noOutput, undefined, { settle: true })
  for (const [i, heads] of c.channels.entries()) {
    const own = [...new Int32Array((await numbers(device, keeper(), `channels.${i}`)).buffer)]
    expect(own).toEqual(heads.flat())
  }
  await runner.dispose()
})

it('what follows is what keys without those channels give', async () => {
  const device = poisoned(reference())
  const { cache, keeper } = watched(think(options))
  const runner = new Runner(model, device, { cache })
  const [other, own] = [runner.open(), runner.open()]
  await runner.feed(other, ids.slice(9, 30), noOutput, undefined, { settle: true })
  await runner.feed(own, ids.slice(0, 50), noOutput, undefined, { settle: true })
  const fork = await runner.fork(own)

  const plainDevice = poisoned(reference())
  const plain = watched(contiguous())
  const plainRunner = new Runner(model, plainDevice, { cache: plain.cache })
  const sequence = plainRunner.open()
  await plainRunner.feed(sequence, ids.slice(0, 50), noOutput)
  for (const i of [0, 1]) {
    const channels = new Int32Array((await numbers(device, keeper(), `channels.${i}`)).buffer)
    const keys = new Float32Array((await numbers(plainDevice, plain.keeper(), `k.${i}`)).buffer)
    for (const h of [0, 1]) {
      const kept = channels.subarray((own.row * 2 + h) * 4, (own.row * 2 + h + 1) * 4)
      for (let r = 0; r < 40; r++) for (let d = 0; d < 8; d++) if (!kept.includes(d)) keys[(h * 128 + r) * 8 + d] = 0
    }
    await plainDevice.write(plain.keeper().buffers()[`k.${i}`], new Uint8Array(keys.buffer))
  }
  const want = await following(plainRunner, sequence)
  expect(nmse(await following(runner, own), want)).toBeLessThan(1e-10)
  expect(nmse(await following(runner, fork), want)).toBeLessThan(1e-10)
  expect(() => runner.trim(own, 20)).toThrow(/40 rows have narrow keys/)
  await runner.dispose()
  await plainRunner.dispose()
})

it('all channels: nothing changes; half of them: early keys take half the bytes', async () => {
  const run = async (cache: CacheManager): Promise<[Float32Array, number]> => {
    const runner = new Runner(model, reference(), { cache })
    const sequence = runner.open()
    await runner.feed(sequence, ids.slice(0, 50), noOutput, undefined, { settle: true })
    const logits = await following(runner, sequence)
    const { cacheBytes } = runner
    await runner.dispose()
    return [logits, cacheBytes]
  }
  const [want] = await run(contiguous())
  const [all] = await run(think({ channels: 1, ...options }))
  expect(nmse(all, want)).toBeLessThan(1e-10)
  const [, bytes] = await run(think(options))
  // Two layers of two heads, a bucket of late rows and one of early rows.
  expect(bytes).toBe(2 * 2 * 128 * (bytesOf('f32', 8 + 8) + bytesOf('f32', 4 + 8)))
})
