import { gqa, mha, mqa } from '@attune/attention-heads'
import { goldenSuite, sameSpecOfLegacy } from '../test/golden-suite.ts'
import { qwen2 } from './index.ts'

goldenSuite('qwen2', qwen2, [mha, mqa, gqa])
sameSpecOfLegacy('qwen2', qwen2)
