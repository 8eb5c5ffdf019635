import { mha } from '@attune/attention-heads'
import { encoderSuite } from '../test/encoder-oracle.ts'
import { sameSpecOfLegacy } from '../test/golden-suite.ts'
import { modernbert } from './index.ts'

encoderSuite('modernbert', modernbert, [mha])
sameSpecOfLegacy('modernbert', modernbert)
