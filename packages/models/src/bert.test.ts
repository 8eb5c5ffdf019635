import { mha } from '@attune/attention-heads'
import { encoderSuite } from '../test/encoder-oracle.ts'
import { bert } from './index.ts'

encoderSuite('bert', bert, [mha])
