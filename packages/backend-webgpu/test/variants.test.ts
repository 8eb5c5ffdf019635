import { gqa } from '@attune/attention-heads'
import { mla } from '@attune/attention-latent/mla'
import { gatedDeltanet } from '@attune/attention-linear'
import { contiguous, paged, quantised, ring } from '@attune/cache'
import { testAttention, testCache } from '@attune/testing'
import { afterAll, describe } from 'vitest'
import { openWebGpu, whyNoVulkan } from './open.ts'

describe.skipIf(whyNoVulkan)(`Dawn on SwiftShader${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, () => {
  const opened = whyNoVulkan ? undefined : openWebGpu()
  const device = async () => (await opened)!
  const devices = async () => [await device()]
  afterAll(async () => (await opened)?.close())

  const heads = { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }
  testAttention(gqa, { configs: [heads], devices })
  testAttention(mla, { configs: [{ dim: 32, heads: 3, nopeDim: 8, ropeDim: 8, valueDim: 12, latent: 16 }], devices })
  testAttention(gatedDeltanet, {
    configs: [{ dim: 20, keyHeads: 2, valueHeads: 4, keyDim: 6, valueDim: 5 }],
    tiny: { position: { kind: 'none' } },
    devices,
  })

  const cache = { name: 'WebGPU', variant: gqa, config: heads, device }
  testCache({ ...cache, cache: contiguous() })
  testCache({ ...cache, cache: ring(), mask: { kind: 'window', size: 20 } })
  testCache({ ...cache, cache: paged({ page: 16 }) })
  testCache({ ...cache, cache: quantised({ bits: 4, group: 16, recent: 5 }), within: 2e-2 })
})
