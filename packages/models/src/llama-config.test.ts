import { expect, it } from 'vitest'
import { llama } from './index.ts'

/** config.json as the Hub has it for SmolLM2-135M-Instruct, with what trainer and transformers.js added. */
const smollm2 = {
  architectures: ['LlamaForCausalLM'],
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: 'silu',
  hidden_size: 576,
  initializer_range: 0.041666666666666664,
  intermediate_size: 1536,
  is_llama_config: true,
  max_position_embeddings: 8192,
  mlp_bias: false,
  model_type: 'llama',
  num_attention_heads: 9,
  num_hidden_layers: 30,
  num_key_value_heads: 3,
  pad_token_id: 2,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_interleaved: false,
  rope_scaling: null,
  rope_theta: 100000,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  'transformers.js_config': { kv_cache_dtype: { q4f16: 'float16' } },
  transformers_version: '4.42.3',
  use_cache: true,
  vocab_size: 49152,
}

it('reads a config of the Hub', () => {
  const spec = llama.spec(smollm2)
  expect(spec).toMatchObject({ vocab: 49152, dim: 576, tied: true, maxPositions: 8192 })
  expect(spec.layers.length).toBe(30)
  expect(spec.layers[0].attention).toMatchObject({
    variant: 'gqa',
    config: { heads: 9, kvHeads: 3, headDim: 64 },
    position: { theta: 100000, dims: 64 },
  })
})
it('names a key that it does not know, and one that is wrong', () => {
  expect(() => llama.spec({ ...smollm2, sliding_window: 4096 })).toThrow(/'sliding_window'/)
  expect(() => llama.spec({ ...smollm2, rope_interleaved: true })).toThrow(/rope_interleaved/)
  expect(() => llama.spec({ ...smollm2, num_key_value_heads: 4 })).toThrow(/num_key_value_heads/)
  expect(() => llama.spec({ ...smollm2, rope_scaling: { type: 'su', factor: 2 } })).toThrow(/su/)
})
