import { expect, it } from 'vitest'
import { configSuite } from '../test/config-suite.ts'
import oracle from '../test/gpt-configs.json' with { type: 'json' }
import { bloom, falcon, gpt2, gptBigcode, gptj, gptNeo, mpt, opt } from './index.ts'

configSuite(oracle, [
  [gpt2, { n_head: 7, add_cross_attention: true, activation_function: 'mish', hidden_size: 96, scale_attn_weights: 1 }],
  [bloom, { n_head: 5, n_embed: 32, n_inner: 100 }],
  [falcon, { num_attention_heads: 70, num_ln_in_parallel_attn: 2, apply_residual_connection_post_layernorm: true, multi_query: 'no' }],
  [gptj, { rotary_dim: 258, rotary: false, scale_attn_weights: false, n_head: 17 }],
  [gptNeo, { attention_types: [[['global'], 23]], attention_layers: ['local'], num_heads: 17, window_size: 0 }],
  [gptBigcode, { add_cross_attention: true, num_key_value_heads: 2, n_inner: 0 }],
  [mpt, { attn_config: { alibi: false }, norm_type: 'rmsnorm', logit_scale: 'half', ffn_config: { ffn_type: 'te_ln_mlp' }, n_heads: 17 }],
  [opt, { learned_embeddings: false, scale_embeddings: true, num_attention_heads: 11, word_embed_proj_dim: -1 }],
])

it('reads the words that transformers reads for others', () => {
  const spec = gpt2.spec({ n_embd: 24, n_head: 3, n_layer: 2, n_positions: 9 })
  expect(gpt2.spec({ hidden_size: 24, num_attention_heads: 3, num_hidden_layers: 2, max_position_embeddings: 9 })).toEqual(spec)
  expect(() => gpt2.spec({ hidden_size: 'wide' })).toThrow("'hidden_size' must be a number")
  expect(bloom.spec({ n_embed: 64, hidden_size: 64 })).toEqual(bloom.spec({}))
})
it('falcon: refuses makes that no file has', () => {
  expect(() => falcon.spec({ new_decoder_architecture: true, parallel_attn: false })).toThrow(/'parallel_attn' must be true/)
  expect(() => falcon.spec({ new_decoder_architecture: true, num_kv_heads: 3 })).toThrow(/'num_kv_heads' must be a divisor/)
  expect(() => falcon.spec({ multi_query: false, num_kv_heads: 3 })).toThrow(/'num_kv_heads' must be num_attention_heads/)
  expect(falcon.spec({ multi_query: null }).layers[0].attention.variant).toBe('mha')
})
it('gpt_neo: layers by kind and number, or by name', () => {
  const named = { num_layers: 3, attention_layers: ['local', 'local', 'global'] }
  const masks = gptNeo.spec(named).layers.map(l => l.attention.mask.kind)
  expect(masks).toEqual(['window', 'window', 'causal'])
  expect(gptNeo.spec({ num_layers: 3, attention_types: [[['local'], 2], [['global'], 1]] })).toEqual(gptNeo.spec(named)) // biome-ignore format: one line
  expect(() => gptNeo.spec({ ...named, attention_types: [[['local'], 3]] })).toThrow(/attention_layers/)
})
