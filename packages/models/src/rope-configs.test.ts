import { configSuite } from '../test/config-suite.ts'
import oracle from '../test/rope-configs.json' with { type: 'json' }
import {
  cohere,
  gemma,
  gemma3Text,
  granite,
  mistral,
  mixtral,
  olmo2,
  phi,
  phi3,
  qwen2,
  qwen3,
  smollm3,
  stablelm,
  starcoder2,
} from './index.ts'

configSuite(oracle, [
  [mistral, { sliding_window: 0, partial_rotary_factor: 0.5, num_key_value_heads: 5 }],
  [qwen2, { layer_types: ['sliding_attention'], max_window_layers: -1 }],
  [qwen3, { use_sliding_window: 'yes', quantization_config: { quant_method: 'fp8' }, hidden_act: 'mish' }],
  [phi3, { attention_bias: true, sliding_window: 0 }],
  [gemma, { hidden_activation: 'relu', use_bidirectional_attention: true, hidden_act: 'gelu_quick' }],
  [gemma3Text, { use_bidirectional_attention: true, attn_logit_softcapping: 30, rope_parameters: { rope_theta: 3 }, sliding_window: null }],
  [smollm3, { no_rope_layers: [1, 0], no_rope_layer_interval: 0 }],
  [granite, { logits_scaling: 0, residual_multiplier: 'half' }],
  [olmo2, { clip_qkv: 8, rms_norm_eps: -1 }],
  [cohere, { logit_scale: 'big', use_qk_norm: 1 }],
  [phi, { partial_rotary_factor: 1.5, qk_layernorm: 'no' }],
  [stablelm, { head_dim: 24, use_parallel_residual: 'no' }],
  [starcoder2, { mlp_type: 'gated', norm_type: 'rms' }],
  [mixtral, { num_local_experts: 0, sliding_window: -1 }],
])
