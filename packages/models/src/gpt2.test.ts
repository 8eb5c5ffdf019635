import { mha } from '@attune/attention-heads'
import { goldenSuite } from '../test/golden-suite.ts'
import { gpt2 } from './index.ts'

goldenSuite('gpt2', gpt2, [mha])
