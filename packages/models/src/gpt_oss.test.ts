import { gqa } from '@attune/attention-heads'
import { goldenSuite, sameSpecOfLegacy } from '../test/golden-suite.ts'
import { gptOss } from './index.ts'

goldenSuite('gpt_oss', gptOss, [gqa])
sameSpecOfLegacy('gpt_oss', gptOss)
