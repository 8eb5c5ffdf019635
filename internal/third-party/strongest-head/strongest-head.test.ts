import { gqa, mha } from '@attune/attention-heads'
import { testBridge } from '@attune/testing'
import { strongest } from './strongest-head.ts'

testBridge(strongest, { from: mha, to: gqa, config: { dim: 32, heads: 4, headDim: 8, bias: true }, wish: { kvHeads: 2 } })
