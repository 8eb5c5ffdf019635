import { gqa, mha, mqa } from '@attune/attention-heads'
import { variationSuite } from '../test/variation-suite.ts'
import { bloom, gpt2 } from './index.ts'

variationSuite(['gpt2-scaled', 'gpt2-raw', 'bloom-after-norm'], [gpt2, bloom], [mha, mqa, gqa])
