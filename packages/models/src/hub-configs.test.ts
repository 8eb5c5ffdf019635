import { describe, expect, it } from 'vitest'
import {
  cohere,
  cohere2,
  gemma,
  gemma3Text,
  type ModelDefinition,
  mistral,
  phi,
  phi3,
  qwen2,
  qwen3Moe,
  smollm3,
  stablelm,
  starcoder2,
} from './index.ts'

const shared = {
  bos_token_id: 1,
  eos_token_id: 2,
  initializer_range: 0.02,
  torch_dtype: 'bfloat16',
  transformers_version: '4.45.0',
  use_cache: true,
}
const heads = (hidden_size: number, num_attention_heads: number, num_key_value_heads: number | null, num_hidden_layers: number) => ({
  ...{ hidden_size, num_attention_heads, num_key_value_heads, num_hidden_layers },
})
const factors = { short_factor: new Array(48).fill(1.05), long_factor: new Array(48).fill(4) }

/** What configs on the Hub carry beside what transformers writes today, and what is read of them. */
const cases: [string, ModelDefinition, Record<string, unknown>, Record<string, unknown>][] = [
  [
    'Mistral 7B v0.3',
    mistral,
    { ...heads(4096, 32, 8, 32), intermediate_size: 14336, max_position_embeddings: 32768, rope_theta: 1e6, sliding_window: null },
    { mask: { kind: 'causal' }, position: { theta: 1e6 }, config: { kvHeads: 8 } },
  ],
  [
    'Qwen2.5 0.5B',
    qwen2,
    {
      ...heads(896, 14, 2, 24),
      ...{
        max_window_layers: 24,
        rope_theta: 1e6,
        sliding_window: 32768,
        use_mrope: false,
        use_sliding_window: false,
        tie_word_embeddings: true,
      },
    },
    { mask: { kind: 'causal' }, config: { bias: true, headDim: 64 } },
  ],
  [
    'Phi-3 mini 4k',
    phi3,
    {
      ...heads(3072, 32, 32, 32),
      auto_map: { AutoConfig: 'configuration_phi3.Phi3Config' },
      ...{
        attention_bias: false,
        embd_pdrop: 0,
        resid_pdrop: 0,
        original_max_position_embeddings: 4096,
        rope_scaling: null,
        rope_theta: 1e4,
      },
      sliding_window: 2047,
    },
    { mask: { kind: 'window', size: 2047 }, position: { dims: 96 } },
  ],
  [
    'Phi-3 mini 128k',
    phi3,
    {
      ...heads(3072, 32, 32, 32),
      ...{ max_position_embeddings: 131072, original_max_position_embeddings: 4096, sliding_window: 262144, rope_theta: 1e4 },
      rope_scaling: { ...factors, type: 'su' },
    },
    { position: { dims: 96, maxPositions: 131072, scaling: { type: 'longrope', original_max_position_embeddings: 4096 } } },
  ],
  [
    'Phi-4 mini',
    phi3,
    {
      ...heads(3072, 24, 8, 32),
      ...{
        full_attn_mod: 1,
        interpolate_factor: 1,
        lm_head_bias: false,
        mlp_bias: false,
        partial_rotary_factor: 0.75,
        tie_word_embeddings: true,
      },
      ...{ max_position_embeddings: 131072, original_max_position_embeddings: 4096, rope_scaling: { ...factors, type: 'longrope' } },
    },
    { position: { dims: 96, scaling: { type: 'longrope' } }, config: { headDim: 128 } },
  ],
  [
    'Phi-2',
    phi,
    { ...heads(2560, 32, 32, 32), partial_rotary_factor: 0.4, qk_layernorm: false, rope_scaling: null, rope_theta: 1e4, resid_pdrop: 0.1 },
    { position: { dims: 32 }, config: { headDim: 80 } },
  ],
  [
    'Gemma 2B',
    gemma,
    { ...heads(2048, 8, 1, 18), head_dim: 256, hidden_act: 'gelu', hidden_activation: null, rope_scaling: null, intermediate_size: 16384 },
    { variant: 'mqa' },
  ],
  [
    'Gemma 3 1B',
    gemma3Text,
    {
      ...heads(1152, 4, 1, 26),
      ...{ attn_logit_softcapping: null, final_logit_softcapping: null, cache_implementation: 'hybrid', query_pre_attn_scalar: 256 },
      ...{ rope_local_base_freq: 1e4, rope_scaling: null, rope_theta: 1e6, sliding_window: 512, sliding_window_pattern: 6, head_dim: 256 },
    },
    { mask: { kind: 'window', size: 512 }, position: { theta: 1e4 }, config: { scale: 1 / 16 } },
  ],
  [
    'SmolLM3 3B',
    smollm3,
    {
      ...heads(2048, 16, 4, 4),
      ...{ layer_types: new Array(4).fill('full_attention'), max_window_layers: 28, mlp_bias: false, no_rope_layer_interval: 4 },
      ...{
        no_rope_layers: [1, 1, 1, 0],
        pretraining_tp: 2,
        rope_scaling: null,
        rope_theta: 5e6,
        sliding_window: null,
        use_sliding_window: false,
      },
    },
    { position: { theta: 5e6 } },
  ],
  [
    'Command R',
    cohere,
    { ...heads(8192, 64, 64, 40), logit_scale: 0.0625, model_max_length: 131072, pretraining_tp: 1, rope_theta: 8e6, use_qk_norm: false },
    { position: { theta: 8e6, pairing: 'interleaved' } },
  ],
  [
    'Command R7B',
    cohere2,
    {
      ...heads(4096, 32, 8, 32),
      ...{ cache_implementation: 'hybrid', head_dim: 128, logit_scale: 0.25, order_of_interleaved_layers: 'local_attn_first' },
      ...{
        position_embedding_type: 'rope_gptj',
        rope_scaling: null,
        rope_theta: 5e4,
        rotary_pct: 1,
        sliding_window: 4096,
        use_parallel_block: true,
      },
      ...{ sliding_window_pattern: 4, use_embedding_sharing: true, use_gated_activation: true, use_parallel_embedding: true },
    },
    { mask: { kind: 'window', size: 4096 }, position: { theta: 5e4 } },
  ],
  [
    'StableLM 3B',
    stablelm,
    { ...heads(2560, 32, 32, 32), partial_rotary_factor: 0.25, rotary_scaling_factor: 1, rope_theta: 1e4, use_qkv_bias: false },
    { position: { dims: 20 } },
  ],
  [
    'StarCoder2 15B',
    starcoder2,
    {
      ...heads(6144, 48, 4, 40),
      ...{ attention_softmax_in_fp32: true, scale_attention_softmax_in_fp32: true, scale_attn_weights: true, layer_norm_epsilon: 1e-5 },
      ...{ mlp_type: 'default', norm_type: 'layer_norm', norm_epsilon: 1e-5, sliding_window: 4096, use_bias: true, rope_theta: 1e5 },
    },
    { mask: { kind: 'window', size: 4096 }, config: { bias: true } },
  ],
  [
    'Qwen3 30B-A3B',
    qwen3Moe,
    {
      ...heads(2048, 32, 4, 48),
      ...{
        decoder_sparse_step: 1,
        head_dim: 128,
        max_window_layers: 48,
        mlp_only_layers: [],
        moe_intermediate_size: 768,
        num_experts: 128,
      },
      ...{
        norm_topk_prob: true,
        output_router_logits: false,
        rope_scaling: null,
        rope_theta: 1e6,
        sliding_window: null,
        use_sliding_window: false,
      },
    },
    { config: { headDim: 128 }, mask: { kind: 'causal' } },
  ],
]

describe.each(cases)('%s', (_, definition, config, attention) => {
  it('is read', () => {
    expect(definition.spec({ ...shared, model_type: definition.type, ...config }).layers[0].attention).toMatchObject(attention)
  })
})
