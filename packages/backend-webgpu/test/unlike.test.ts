import { gqa } from '@attune/attention-heads'
import { castle, mta, path, talkingHeads } from '@attune/attention-mixing'
import { moba, nsa } from '@attune/attention-sparse'
import { snapKv } from '@attune/cache/policies'
import { testAttention, testPolicy } from '@attune/testing'
import { afterAll, describe } from 'vitest'
import { openWebGpu, whyNoVulkan } from './open.ts'

/** What is least like grouped heads over a contiguous cache. */
describe.skipIf(whyNoVulkan)(`Dawn on SwiftShader${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, () => {
  const opened = whyNoVulkan ? undefined : openWebGpu()
  const device = async () => (await opened)!
  const devices = async () => [await device()]
  afterAll(async () => (await opened)?.close())

  const heads = { dim: 24, heads: 4, kvHeads: 2, headDim: 8 }
  const tiny = { position: { kind: 'none' } } as const
  const branches = { compress: { size: 8, stride: 4, hidden: 12 }, block: 8, pick: 4, window: 7 }
  testAttention(moba, { configs: [{ ...heads, block: 8, pick: 3 }], devices })
  testAttention(nsa, { configs: [{ ...heads, ...branches }], devices })
  testAttention(path, { configs: [heads], devices, tiny })
  testAttention(castle, { configs: [{ dim: 24, heads: 3, headDim: 8 }], devices, tiny })
  testAttention(talkingHeads, { configs: [{ dim: 24, logitHeads: 2, heads: 4, valueHeads: 3, headDim: 8 }], devices })

  testAttention(mta, { configs: [{ ...heads, queryTaps: 3, keyTaps: 5, mixLogits: true, headGroup: 2 }], devices })
  testPolicy({ policy: snapKv(), variant: gqa, config: heads, device })
})
