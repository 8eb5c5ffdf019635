import { cpu } from '@attune/backend-cpu'
import { contiguous, paged, ring } from '@attune/cache'
import { testAttention, testCache } from '@attune/testing'
import { afterAll } from 'vitest'
import { gqa, mha, mqa } from './index.ts'

const opened = Promise.all([cpu({ threads: 2 }), cpu({ backend: 'wasm', threads: 2 })])
const devices = () => opened
afterAll(async () => {
  for (const d of await opened) await d.close()
})
const config = { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }

testAttention(gqa, {
  configs: [
    config,
    { dim: 24, heads: 5, kvHeads: 2, headDim: 8, bias: true, headMap: [0, 0, 1, 1, 1] },
    { ...config, sink: true, scale: 0.3 },
    { ...config, qkNorm: { kind: 'rms', eps: 1e-6, offset: 1 }, gate: true },
  ],
  devices,
})
testAttention(mha, { configs: [{ dim: 24, heads: 3, headDim: 8 }], devices })
testAttention(mqa, { configs: [{ dim: 24, heads: 3, headDim: 8 }], devices })

testCache({ cache: contiguous(), variant: gqa, config })
testCache({ cache: paged(), variant: gqa, config })
testCache({ cache: paged({ page: 64 }), variant: gqa, config, mask: { kind: 'window', size: 20 } })
testCache({ cache: ring(), variant: gqa, config, mask: { kind: 'window', size: 20 } })
for (const [i, name] of ['native', 'WebAssembly'].entries()) {
  testCache({ name, cache: paged(), variant: gqa, config, device: async () => (await opened)[i] })
  testCache({ name, cache: contiguous(), variant: gqa, config, device: async () => (await opened)[i] })
  testCache({ name, cache: ring(), variant: gqa, config, mask: { kind: 'window', size: 20 }, device: async () => (await opened)[i] })
}
