import { gqa } from '@attune/attention-heads'
import { mla } from '@attune/attention-latent/mla'
import { contiguous, ring } from '@attune/cache'
import { testAttention, testCache } from '@attune/testing'
import { afterAll, describe } from 'vitest'
import { openWebGpu, whyNoVulkan } from './open.ts'

describe.skipIf(whyNoVulkan)(`Dawn on SwiftShader${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, () => {
  const opened = whyNoVulkan ? undefined : openWebGpu()
  const device = async () => (await opened)!
  const devices = async () => [await device()]
  afterAll(async () => (await opened)?.close())

  const grouped = { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }
  const latent = { dim: 32, heads: 3, nopeDim: 8, ropeDim: 8, valueDim: 12, latent: 16 }
  testAttention(gqa, { configs: [grouped], devices })
  testAttention(mla, { configs: [latent], devices })
  testCache({ name: 'WebGPU', cache: contiguous(), variant: gqa, config: grouped, device })
  testCache({ name: 'WebGPU', cache: ring(), variant: gqa, config: grouped, mask: { kind: 'window', size: 20 }, device })
})
