import { gqa, mha, mqa } from '@attune/attention-heads'
import { goldenSuite, sameSpecOfLegacy } from '../test/golden-suite.ts'
import { gptNeox } from './index.ts'

goldenSuite('gpt_neox', gptNeox, [mha, mqa, gqa])
sameSpecOfLegacy('gpt_neox', gptNeox)
