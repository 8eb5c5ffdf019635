import { configSuite } from '../test/config-suite.ts'
import oracle from '../test/default-configs.json' with { type: 'json' }
import { deepseekV2, deepseekV3, gptOss, llama, mamba2, minimax, qwen3Next } from './index.ts'

configSuite(oracle, [
  [llama, { partial_rotary_factor: 0.5, rope_interleaved: true, num_key_value_heads: 5 }],
  [gptOss, { quantization_config: { quant_method: 'mxfp4' }, layer_types: ['chunked_attention'], sliding_window: 0 }],
  [deepseekV2, { scoring_func: 'sigmoid', norm_topk_prob: true, topk_method: 'noaux_tc', moe_layer_freq: 2 }],
  [deepseekV3, { scoring_func: 'softmax', topk_method: 'greedy', n_group: 7, topk_group: 9, quantization_config: { quant_method: 'fp8' } }],
  [qwen3Next, { linear_num_value_heads: 20, mlp_only_layers: [48], layer_types: ['linear_attention'], partial_rotary_factor: 2 }],
  [mamba2, { expand: 3, n_groups: 3, time_step_limit: [1, 0], hidden_act: 'mish' }],
  [minimax, { sliding_window: 128, partial_rotary_factor: 0.5, num_experts_per_tok: 0 }],
])
