import { gqa, mha, mqa } from '@attune/attention-heads'
import { goldenSuite, sameSpecOfLegacy } from '../test/golden-suite.ts'
import { mistral } from './index.ts'

goldenSuite('mistral', mistral, [mha, mqa, gqa])
sameSpecOfLegacy('mistral', mistral)
