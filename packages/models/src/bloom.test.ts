import { mha } from '@attune/attention-heads'
import { goldenSuite } from '../test/golden-suite.ts'
import { bloom } from './index.ts'

goldenSuite('bloom', bloom, [mha])
