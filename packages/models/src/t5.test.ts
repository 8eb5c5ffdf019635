import { cpu } from '@attune/backend-cpu'
import { reference } from '@attune/tensor'
import { testEncoderDecoder } from '@attune/testing'
import { describe, expect, it } from 'vitest'
import { t5Oracle } from '../test/encoder-oracles.ts'
import { t5 } from './index.ts'

testEncoderDecoder('t5, reference', t5Oracle, async () => reference())
testEncoderDecoder('t5, native', t5Oracle, () => cpu({ backend: 'native', threads: 2 }))
testEncoderDecoder('t5, WebAssembly', t5Oracle, () => cpu({ backend: 'wasm', threads: 2 }))

/** config.json of google/flan-t5-small, as the Hub has it. */
const flan = {
  _name_or_path: 'google/t5-v1_1-small',
  architectures: ['T5ForConditionalGeneration'],
  d_ff: 1024,
  d_kv: 64,
  d_model: 512,
  decoder_start_token_id: 0,
  dropout_rate: 0.1,
  eos_token_id: 1,
  feed_forward_proj: 'gated-gelu',
  initializer_factor: 1.0,
  is_encoder_decoder: true,
  layer_norm_epsilon: 1e-6,
  model_type: 't5',
  n_positions: 512,
  num_decoder_layers: 8,
  num_heads: 6,
  num_layers: 8,
  output_past: true,
  pad_token_id: 0,
  relative_attention_max_distance: 128,
  relative_attention_num_buckets: 32,
  task_specific_params: { summarization: { early_stopping: true } },
  tie_word_embeddings: false,
  torch_dtype: 'float32',
  transformers_version: '4.23.1',
  use_cache: true,
  vocab_size: 32128,
}

describe('config.json', () => {
  it('of version 1.1 has a gated block, no scaled output and a head of its own', () => {
    const spec = t5.spec(flan, new Set(['lm_head.weight']))
    expect(spec).toMatchObject({ vocab: 32128, dim: 512, tied: false, layersPerBlock: 2, encoder: { start: 0 } })
    expect(spec.headScale).toBeUndefined()
    expect(spec.layers.length).toBe(16)
    expect(spec.layers[1].mlp).toMatchObject({ kind: 'gated', activation: 'gelu_new', hidden: 1024 })
    expect(spec.layers[2].attention.position).toMatchObject({ kind: 't5', bidirectional: false, layer: 0 })
    expect(spec.encoder!.layers[0].attention).toMatchObject({ mask: { kind: 'full' }, config: { scale: 1, headDim: 64 } })
  })
  it('says less of the head than the files do', () => {
    expect(t5.spec(flan, new Set<string>()).tied).toBe(true)
    expect(t5.spec({ ...flan, tie_word_embeddings: true, scale_decoder_outputs: false }, new Set(['lm_head.weight']))).toMatchObject({
      tied: false,
    })
    expect(t5.spec({ ...flan, tie_word_embeddings: true }).headScale).toBeCloseTo(512 ** -0.5, 12)
  })
  it.each([
    ['feed_forward_proj', 'gated-mish', /mish/],
    ['feed_forward_proj', 'a-b-c', /feed_forward_proj 'a-b-c'/],
    ['feed_forward_proj', 'quick-gelu', /feed_forward_proj 'quick-gelu'/],
    ['relative_attention_num_buckets', 7, /relative_attention_num_buckets/],
    ['relative_attention_max_distance', 16, /relative_attention_max_distance/],
    ['architectures', ['T5EncoderModel'], /T5EncoderModel/],
    ['sliding_window', 64, /'sliding_window'/],
    ['decoder_start_token_id', -1, /decoder_start_token_id/],
  ])('with %s %j is refused by name', (key, value, message) => {
    expect(() => t5.spec({ ...flan, [key]: value })).toThrow(message)
  })
  it.each([
    ['relu', 'plain', 'relu'],
    ['gated-silu', 'gated', 'silu'],
    ['gelu', 'plain', 'gelu'],
    ['gated-gelu', 'gated', 'gelu_new'],
  ])('feed_forward_proj %s', (word, kind, activation) => {
    expect(t5.spec({ ...flan, feed_forward_proj: word }).layers[1].mlp).toMatchObject({ kind, activation })
  })
})
