import { gqa, mha, mqa } from '@attune/attention-heads'
import { mla } from '@attune/attention-latent'
import { gatedDeltanet, lightning, mamba2 as mixer } from '@attune/attention-linear'
import { variationSuite } from '../test/variation-suite.ts'
import { deepseekV2, deepseekV3, gptOss, mamba2, minimax, qwen3Next } from './index.ts'

variationSuite(
  [
    'deepseek_v2-groups-yarn',
    'deepseek_v2-biased-tied',
    'deepseek_v3-half-rope',
    'gpt_oss-no-bias',
    'qwen3_next-dense-layers',
    'qwen3_next-odd-rope',
    'mamba2-biased-tied',
    'mamba2-wide',
    'minimax-linear-alone',
  ],
  [gptOss, deepseekV2, deepseekV3, qwen3Next, mamba2, minimax],
  [gqa, mha, mqa, mla, gatedDeltanet, lightning, mixer],
)
