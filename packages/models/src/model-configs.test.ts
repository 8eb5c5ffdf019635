import { describe, expect, it } from 'vitest'
import oracle from '../test/default-configs.json' with { type: 'json' }
import { deepseekV2, deepseekV3, gptOss, llama, type ModelDefinition, mamba2, minimax, qwen3Next } from './index.ts'

type Config = Record<string, unknown>
/** Values that the model type cannot have, by key, and what the error says. */
const refused: [ModelDefinition, Config][] = [
  [llama, { partial_rotary_factor: 0.5, rope_interleaved: true, num_key_value_heads: 5 }],
  [gptOss, { quantization_config: { quant_method: 'mxfp4' }, layer_types: ['chunked_attention'], sliding_window: 0 }],
  [deepseekV2, { scoring_func: 'sigmoid', norm_topk_prob: true, topk_method: 'noaux_tc', moe_layer_freq: 2 }],
  [deepseekV3, { scoring_func: 'softmax', topk_method: 'greedy', n_group: 7, topk_group: 9, quantization_config: { quant_method: 'fp8' } }],
  [qwen3Next, { linear_num_value_heads: 20, mlp_only_layers: [48], layer_types: ['linear_attention'], partial_rotary_factor: 2 }],
  [mamba2, { expand: 3, n_groups: 3, time_step_limit: [1, 0], hidden_act: 'mish' }],
  [minimax, { sliding_window: 128, partial_rotary_factor: 0.5, num_experts_per_tok: 0 }],
]

describe.each(refused)('$type', (definition, wrong) => {
  const { given, filled } = (oracle as Record<string, { given: Config; filled: Config }>)[definition.type]
  it('takes the values of transformers for keys that a config lacks', () => {
    expect(definition.spec(given)).toEqual(definition.spec(filled))
  })
  it('names a key it does not know', () => {
    expect(() => definition.spec({ ...filled, surprise: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_UNSUPPORTED', data: expect.objectContaining({ keys: ['surprise'] }) }),
    )
    expect(definition.spec({ ...filled, surprise: null })).toEqual(definition.spec(filled))
  })
  it.each(Object.entries(wrong))('refuses %s %j by name', (key, value) => {
    expect(() => definition.spec({ ...filled, [key]: value })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/ERR_(UNSUPPORTED|FORMAT)/), message: expect.stringContaining(key) }),
    )
  })
  it('plans files for every parameter it names', () => {
    const spec = definition.spec(filled)
    expect(definition.layout(spec).load(['lm_head.weight'], { params: ['head.weight'] }).length).toBe(1)
    expect(() => definition.layout(spec).load(['surprise.weight'])).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }))
  })
})
