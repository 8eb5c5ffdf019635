import { gqa } from '@attune/attention-heads'
import { cpu } from '@attune/backend-cpu'
import { contiguous, paged, ring } from '@attune/cache'
import { reference } from '@attune/tensor'
import { drive, nmse, testAttention, testCache, tinyModel, tokens } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { lolcats } from './lolcats.ts'

const opened = Promise.all([cpu({ threads: 2 }), cpu({ backend: 'wasm', threads: 2 })])
afterAll(async () => {
  for (const d of await opened) await d.close()
})
const config = { dim: 24, heads: 4, kvHeads: 2, headDim: 8, window: 7 }
const mask = { kind: 'window', size: 7 } as const

testAttention(lolcats, { configs: [config, { ...config, window: 1, featureDim: 5, bias: true }], devices: () => opened })
for (const cache of [contiguous(), paged({ page: 16 })]) testCache({ cache, variant: lolcats, config })
testCache({ cache: ring(), variant: lolcats, config, mask })
testCache({ cache: ring(), variant: lolcats, config, mask, name: 'native', device: async () => (await opened)[0] })

describe('what leaves the window', () => {
  it('is remembered under a ring that keeps only the window', async () => {
    for (const device of [reference(), ...(await opened)]) {
      const want = await drive(tinyModel(lolcats, config, { layers: 2 }), device, tokens(60))
      for (const pieces of [[60], [9, 1, 30, 20], [25, ...new Array(35).fill(1)]]) {
        const have = await drive(tinyModel(lolcats, config, { layers: 2, mask }), device, tokens(60), pieces, ring())
        expect(nmse(have.logits, want.logits), `${device.name}, pieces ${pieces}`).toBeLessThan(1e-10)
      }
    }
  })
  it('leaves grouped-query attention until something has left', async () => {
    for (const device of [reference(), ...(await opened)]) {
      const own = tinyModel(lolcats, { ...config, window: 20 })
      const layers = own.spec.layers.map(l => ({ ...l, attention: { ...l.attention, variant: gqa.name } }))
      const twin = { ...own, spec: { ...own.spec, layers }, variants: new Map([[gqa.name, gqa]]) }
      const [have, want] = [await drive(own, device, tokens(21)), await drive(twin, device, tokens(21))]
      expect(nmse(have.out.slice(0, 20 * config.dim), want.out.slice(0, 20 * config.dim)), device.name).toBeLessThan(1e-12)
      expect(nmse(have.out.slice(20 * config.dim), want.out.slice(20 * config.dim)), device.name).toBeGreaterThan(1e-6)
    }
  })
})
