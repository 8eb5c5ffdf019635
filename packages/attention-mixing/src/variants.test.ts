import { cpu } from '@attune/backend-cpu'
import { contiguous, evicting, paged, quantised, ring, think } from '@attune/cache'
import { streamingLlm } from '@attune/cache/policies'
import { Runner } from '@attune/models'
import { reference } from '@attune/tensor'
import { testAttention, testCache, tinyModel } from '@attune/testing'
import { afterAll, expect, it } from 'vitest'
import { castle, mta, path, talkingHeads } from './index.ts'

const opened = Promise.all([cpu({ threads: 2 }), cpu({ backend: 'wasm', threads: 2 })])
const devices = () => opened
afterAll(async () => {
  for (const d of await opened) await d.close()
})
const heads = { dim: 24, heads: 4, kvHeads: 2, headDim: 8 }
const tiny = { position: { kind: 'none' } as const }

testAttention(path, { configs: [heads, { ...heads, heads: 2, rank: 6 }, { ...heads, forget: true }], devices, tiny })
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
    { ...heads, queryTaps: 2, keyTaps: 3, mixLogits: true, headGroup: 2, norm: true, gate: true },
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
  ['castle', castle, { dim: 24, heads: 3, headDim: 8 }],
] as const)('%s: caches that drop or pack rows refuse it when they are opened', (_, variant, config) => {
  const model = tinyModel(variant, config, variant === path || variant === castle ? tiny : {})
  for (const cache of [evicting(streamingLlm(), { rows: 8 }), quantised(), think()])
    expect(() => new Runner(model, reference(), { cache })).toThrow(`layer 0 cannot use the ${cache.name} cache: `)
})
it('mta convolves over neighbours, which a ring does not keep', () => {
  const model = tinyModel(mta, { ...heads, queryTaps: 2, keyTaps: 3 }, { mask: { kind: 'window', size: 8 } })
  expect(() => new Runner(model, reference(), { cache: ring() })).toThrow('runs of slots in row order')
  expect(() => new Runner(model, reference(), {})).not.toThrow()
})
