import { gqa } from '@attune/attention-heads'
import { mla } from '@attune/attention-latent/mla'
import { cpu } from '@attune/backend-cpu'
import { evicting, paged, quantised } from '@attune/cache'
import { snapKv } from '@attune/cache/policies'
import { Constant, reference } from '@attune/tensor'
import { tinyModel, tokens } from '@attune/testing'
import { expect, it } from 'vitest'
import { lastLogits, noOutput, Runner } from './index.ts'

const heads = { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }
const latent = { dim: 32, heads: 3, nopeDim: 8, ropeDim: 8, valueDim: 12, latent: 16 }
const packing = evicting(snapKv({ window: 4 }), { rows: 0.5 }, { packed: { group: 8, recent: 3 } })

it.each([
  ['gqa', tinyModel(gqa, heads), paged()],
  ['gqa, packed', tinyModel(gqa, heads), packing],
  ['mla', tinyModel(mla, latent), quantised({ group: 8 })],
] as const)('%s: a checked step gives the bits of one that is not', async (_, model, cache) => {
  const device = await cpu({ threads: 1 })
  const run = async (check: boolean) => {
    const runner = new Runner(model, device, { cache, check })
    const sequence = runner.open()
    await runner.feed(sequence, tokens(40), noOutput, undefined, { settle: true })
    const { data } = await (await runner.step([{ sequence, ids: [1] }], lastLogits)).read('logits')
    await runner.dispose()
    return data.slice()
  }
  expect(await run(true)).toEqual(await run(false))
  await device.close()
})
it('names the op that gives NaN, where it is asked to look', async () => {
  const { values, ...rest } = tinyModel(gqa, heads)
  const path = 'layers.0.attention.k'
  const { shape } = values.get(path)!.weight
  const numbers = new Float32Array((await values.get(path)!.weight.bytes()).slice().buffer)
  numbers[5] = Number.NaN
  const broken = { ...rest, values: new Map(values).set(path, { weight: new Constant('f32', shape, new Uint8Array(numbers.buffer)) }) }
  const step = async (check: boolean) => {
    const runner = new Runner(broken, reference(), { check })
    await runner.step([{ sequence: runner.open(), ids: [3, 4] }], noOutput)
  }
  await expect(step(true)).rejects.toMatchObject({ code: 'ERR_NAN', data: { op: 'matmul' } })
  await step(false)
})
