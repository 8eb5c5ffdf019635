import { gqa } from '@attune/attention-heads'
import { cpu } from '@attune/backend-cpu'
import { contiguous, ring } from '@attune/cache'
import { testAttention, testBridge, testCache } from '@attune/testing'
import { afterAll } from 'vitest'
import { fromGqa, keyHeavy } from './key-heavy.ts'

const device = cpu({ threads: 2 })
afterAll(async () => (await device).close())
const config = { dim: 32, heads: 4, valueHeads: 2, headDim: 8 }

testAttention(keyHeavy, {
  configs: [config, { dim: 24, heads: 6, valueHeads: 3, headDim: 8, bias: true }],
  devices: async () => [await device],
})
testCache({ cache: contiguous(), variant: keyHeavy, config })
testCache({ cache: ring(), variant: keyHeavy, config, mask: { kind: 'window', size: 20 } })
testBridge(fromGqa, { from: gqa, to: keyHeavy, config: { dim: 32, heads: 4, kvHeads: 2, headDim: 8, bias: true } })
