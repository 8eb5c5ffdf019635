import { gqa } from '@attune/attention-heads'
import { gatedDeltanet } from '@attune/attention-linear'
import { goldenSuite, sameSpecOfLegacy } from '../test/golden-suite.ts'
import { qwen3Next } from './index.ts'

goldenSuite('qwen3_next', qwen3Next, [gqa, gatedDeltanet])
sameSpecOfLegacy('qwen3_next', qwen3Next)
