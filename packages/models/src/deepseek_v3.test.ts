import { mla } from '@attune/attention-latent'
import { goldenSuite, sameSpecOfLegacy } from '../test/golden-suite.ts'
import { deepseekV3 } from './index.ts'

goldenSuite('deepseek_v3', deepseekV3, [mla])
sameSpecOfLegacy('deepseek_v3', deepseekV3)
