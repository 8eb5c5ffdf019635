import { cpu } from '@attune/backend-cpu'
import { contiguous, paged } from '@attune/cache'
import { testAttention, testCache } from '@attune/testing'
import { afterAll } from 'vitest'
import { moba, nsa, quest } from './index.ts'

const opened = Promise.all([cpu({ threads: 2 }), cpu({ backend: 'wasm', threads: 2 })])
const devices = () => opened
afterAll(async () => {
  for (const d of await opened) await d.close()
})
const heads = { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }

testAttention(moba, {
  configs: [
    { ...heads, block: 8, pick: 3 },
    { ...heads, heads: 5, headMap: [0, 0, 1, 1, 1], block: 4, pick: 2, first: 1 },
  ],
  devices,
})
testAttention(quest, { configs: [{ ...heads, page: 8, pick: 3 }], devices })

const threeBranches = { dim: 24, heads: 4, kvHeads: 2, headDim: 8, compress: { size: 8, stride: 4, hidden: 12 }, block: 8, pick: 4, window: 7 } // biome-ignore format: one line
testAttention(nsa, { configs: [threeBranches], devices })

const blocks = { ...heads, block: 16, pick: 2 }
testCache({ cache: contiguous(), variant: moba, config: blocks })
testCache({ name: 'native', cache: contiguous(), variant: moba, config: blocks, device: async () => (await opened)[0] })
testCache({ name: 'native', cache: contiguous(), variant: quest, config: { ...heads, page: 16, pick: 2 }, device: async () => (await opened)[0] }) // biome-ignore format: one line
testCache({ name: 'native', cache: contiguous(), variant: nsa, config: { ...threeBranches, block: 16 }, device: async () => (await opened)[0] }) // biome-ignore format: one line
for (const [
  variant,
  config,
] of [[moba, { ...heads, block: 8, pick: 3 }], [quest, { ...heads, page: 8, pick: 3 }], [nsa, threeBranches]] as const) // biome-ignore format: one line
  testCache({ name: 'native', cache: paged({ page: 16 }), variant, config, device: async () => (await opened)[0] })
