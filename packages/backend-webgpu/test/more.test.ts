import { gqa } from '@attune/attention-heads'
import { lolcats, mamba2 } from '@attune/attention-linear'
import { quest } from '@attune/attention-sparse'
import { h2o } from '@attune/cache/policies'
import { testAttention, testPolicy } from '@attune/testing'
import { afterAll, describe } from 'vitest'
import { openWebGpu, whyNoVulkan } from './open.ts'

// SwiftShader takes minutes for all of them: `pnpm check:webgpu` does.
const all = process.env.ATTUNE_ALL !== undefined

/** A fold beside a window, page bounds, a scan of its own shape, weights summed over all steps. */
describe.skipIf(whyNoVulkan)(`Dawn on SwiftShader${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, () => {
  const opened = whyNoVulkan ? undefined : openWebGpu()
  const device = async () => (await opened)!
  const devices = async () => [await device()]
  afterAll(async () => (await opened)?.close())

  const heads = { dim: 24, heads: 4, kvHeads: 2, headDim: 8 }
  testAttention(mamba2, {
    configs: [{ dim: 20, heads: 4, headDim: 8, groups: 2, stateDim: 6 }],
    tiny: { position: { kind: 'none' } },
    devices,
  })
  if (all) {
    testAttention(lolcats, { configs: [{ ...heads, window: 7 }], devices })
    testAttention(quest, { configs: [{ ...heads, page: 8, pick: 3 }], devices })
    testPolicy({ policy: h2o(), variant: gqa, config: heads, device })
  }
})
