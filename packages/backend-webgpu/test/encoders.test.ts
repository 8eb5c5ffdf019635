import { testEncoder, testEncoderDecoder } from '@attune/testing'
import { describe } from 'vitest'
import { t5Oracle, vitOracle } from '../../models/test/encoder-oracles.ts'
import { openWebGpu, whyNoVulkan } from './open.ts'

describe.skipIf(whyNoVulkan)(`Dawn on SwiftShader${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, () => {
  testEncoderDecoder('t5', t5Oracle, openWebGpu)
  testEncoder('vit', vitOracle, openWebGpu)
})
