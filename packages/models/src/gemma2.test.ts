import { gqa, mha, mqa } from '@attune/attention-heads'
import { goldenSuite, sameSpecOfLegacy } from '../test/golden-suite.ts'
import { gemma2 } from './index.ts'

goldenSuite('gemma2', gemma2, [mha, mqa, gqa])
sameSpecOfLegacy('gemma2', gemma2)
