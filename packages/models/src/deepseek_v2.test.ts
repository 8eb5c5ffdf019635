import { mla } from '@attune/attention-latent'
import { goldenSuite, sameSpecOfLegacy } from '../test/golden-suite.ts'
import { deepseekV2 } from './index.ts'

goldenSuite('deepseek_v2', deepseekV2, [mla])
sameSpecOfLegacy('deepseek_v2', deepseekV2)
