import { testDevice } from '@attune/testing'
import { describe } from 'vitest'
import { openWebGpu, whyNoVulkan } from './open.ts'

describe.skipIf(whyNoVulkan)(`Dawn on SwiftShader${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, () => testDevice('op cases', openWebGpu))
