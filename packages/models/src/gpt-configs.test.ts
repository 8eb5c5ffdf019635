import { expect, it } from 'vitest'
import { configSuite } from '../test/config-suite.ts'
import oracle from '../test/gpt-configs.json' with { type: 'json' }
import { bloom, gpt2 } from './index.ts'

configSuite(oracle, [
  [gpt2, { n_head: 7, add_cross_attention: true, activation_function: 'mish', hidden_size: 96, scale_attn_weights: 1 }],
  [bloom, { n_head: 5, n_embed: 32, n_inner: 100 }],
])

it('reads the words that transformers reads for others', () => {
  const spec = gpt2.spec({ n_embd: 24, n_head: 3, n_layer: 2, n_positions: 9 })
  expect(gpt2.spec({ hidden_size: 24, num_attention_heads: 3, num_hidden_layers: 2, max_position_embeddings: 9 })).toEqual(spec)
  expect(() => gpt2.spec({ hidden_size: 'wide' })).toThrow("'hidden_size' must be a number")
  expect(bloom.spec({ n_embed: 64, hidden_size: 64 })).toEqual(bloom.spec({}))
})
