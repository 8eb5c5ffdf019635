import { gqa, mha, mqa } from '@attune/attention-heads'
import { variationSuite } from '../test/variation-suite.ts'
import { mistral, qwen2, qwen3 } from './index.ts'

variationSuite(['mistral-whole-yarn', 'qwen2-upper-windows', 'qwen3-biased-windows'], [mistral, qwen2, qwen3], [gqa, mha, mqa])
