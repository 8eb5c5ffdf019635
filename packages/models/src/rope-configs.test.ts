import { configSuite } from '../test/config-suite.ts'
import oracle from '../test/rope-configs.json' with { type: 'json' }
import { mistral, qwen2, qwen3 } from './index.ts'

configSuite(oracle, [
  [mistral, { sliding_window: 0, partial_rotary_factor: 0.5, num_key_value_heads: 5 }],
  [qwen2, { layer_types: ['sliding_attention'], max_window_layers: -1 }],
  [qwen3, { use_sliding_window: 'yes', quantization_config: { quant_method: 'fp8' }, hidden_act: 'mish' }],
])
