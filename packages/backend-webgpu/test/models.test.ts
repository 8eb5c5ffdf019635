import type { Variant } from '@attune/attention'
import { gqa } from '@attune/attention-heads'
import { mla } from '@attune/attention-latent'
import { gatedDeltanet, lightning, mamba2 as mixer } from '@attune/attention-linear'
import { deepseekV3, gptOss, llama, type ModelDefinition, mamba2, minimax, qwen3Next } from '@attune/models'
import { testModel } from '@attune/testing'
import { describe } from 'vitest'
import { goldenOracle } from '../../models/test/golden-suite.ts'
import { openWebGpu, whyNoVulkan } from './open.ts'

const models: readonly [string, ModelDefinition, readonly Variant[], Parameters<typeof goldenOracle>[3]?][] = [
  ['llama-gqa-tied', llama, [gqa]],
  ['deepseek_v3', deepseekV3, [mla]],
  ['qwen3_next', qwen3Next, [gqa, gatedDeltanet]],
  ['minimax', minimax, [gqa, lightning]],
  ['gpt_oss', gptOss, [gqa]],
  // transformers' mamba2 lists what each block gives, without the embeddings
  ['mamba2', mamba2, [mixer], { hidden: [undefined, 'A.hidden_states.0', 'A.hidden_states.1', 'A.hidden_states.3'] }],
]

describe.skipIf(whyNoVulkan)(`Dawn on SwiftShader${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, () => {
  for (const [name, definition, attention, options] of models)
    testModel(name, goldenOracle(name, definition, attention, options), openWebGpu)
})
