import { cpu } from '@attune/backend-cpu'
import { contiguous, evicting, paged } from '@attune/cache'
import { streamingLlm } from '@attune/cache/policies'
import { noOutput, Runner } from '@attune/models'
import { reference } from '@attune/tensor'
import { testAttention, testCache, tinyModel, tokens } from '@attune/testing'
import { afterAll, expect, it } from 'vitest'
import { castle, mta, path, talkingHeads } from './index.ts'

const opened = Promise.all([cpu({ threads: 2 }), cpu({ backend: 'wasm', threads: 2 })])
const devices = () => opened
afterAll(async () => {
  for (const d of await opened) await d.close()
})
const heads = { dim: 24, heads: 4, kvHeads: 2, headDim: 8 }
const tiny = { position: { kind: 'none' } as const }

testAttention(path, { configs: [heads, { ...heads, heads: 2, rank: 6 }], devices, tiny })
testAttention(castle, { configs: [{ dim: 24, heads: 3, headDim: 8 }], devices, tiny })
testAttention(talkingHeads, {
  configs: [
    { dim: 24, heads: 3, headDim: 8 },
    { dim: 24, logitHeads: 2, heads: 4, valueHeads: 3, headDim: 8 },
  ],
  devices,
})
testAttention(mta, {
  configs: [
    { ...heads, queryTaps: 3, keyTaps: 5, mixLogits: true, headGroup: 2 },
    { ...heads, queryTaps: 2, keyTaps: 3, norm: true, gate: true },
  ],
  devices,
})

testCache({ name: 'native', cache: contiguous(), variant: path, config: heads, device: async () => (await opened)[0], tiny })
testCache({ name: 'native', cache: contiguous(), variant: castle, config: { dim: 24, heads: 3, headDim: 8 }, device: async () => (await opened)[0], tiny }) // biome-ignore format: one line
testCache({ name: 'native', cache: contiguous(), variant: talkingHeads, config: { dim: 24, heads: 3, headDim: 8 }, device: async () => (await opened)[0] }) // biome-ignore format: one line
testCache({ name: 'native', cache: paged({ page: 16 }), variant: talkingHeads, config: { dim: 24, heads: 3, headDim: 8 }, device: async () => (await opened)[0] }) // biome-ignore format: one line
testCache({ name: 'native', cache: paged(), variant: mta, config: { ...heads, queryTaps: 3, keyTaps: 5 }, device: async () => (await opened)[0] }) // biome-ignore format: one line

it.each([
  ['talking-heads', talkingHeads, { dim: 24, heads: 3, headDim: 8 }],
  ['mta', mta, { ...heads, mixLogits: true }],
  ['path', path, heads],
] as const)('%s refuses rows that a policy dropped head by head', async (_, variant, config) => {
  const run = async (): Promise<void> => {
    const cache = evicting(streamingLlm(), { rows: 8 })
    const runner = new Runner(tinyModel(variant, config, variant === path ? tiny : {}), reference(), { cache })
    const sequence = runner.open()
    await runner.feed(sequence, tokens(20), noOutput, undefined, { settle: true })
    await runner.step([{ sequence, ids: [1] }], noOutput)
  }
  await expect(run()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
})
