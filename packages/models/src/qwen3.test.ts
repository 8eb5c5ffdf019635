import { gqa, mha, mqa } from '@attune/attention-heads'
import { goldenSuite, sameSpecOfLegacy } from '../test/golden-suite.ts'
import { qwen3 } from './index.ts'

goldenSuite('qwen3', qwen3, [mha, mqa, gqa])
sameSpecOfLegacy('qwen3', qwen3)
