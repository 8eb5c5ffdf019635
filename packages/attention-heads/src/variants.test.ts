import { contiguous, ring } from '@attune/cache'
import { testAttention, testCache } from '@attune/testing'
import { gqa, mha, mqa } from './index.ts'

testAttention(gqa, {
  configs: [
    { dim: 32, heads: 4, kvHeads: 2, headDim: 8 },
    { dim: 24, heads: 5, kvHeads: 2, headDim: 8, bias: true, headMap: [0, 0, 1, 1, 1] },
  ],
})
testAttention(mha, { configs: [{ dim: 24, heads: 3, headDim: 8 }] })
testAttention(mqa, { configs: [{ dim: 24, heads: 3, headDim: 8 }] })

testCache({ cache: contiguous(), variant: gqa, config: { dim: 32, heads: 4, kvHeads: 2, headDim: 8 } })
testCache({ cache: ring(), variant: gqa, config: { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }, mask: { kind: 'window', size: 20 } })
