import type { GgufArchitecture } from '../architecture.ts'
import { count, epsilon, real, sizesOf } from './decoder.ts'

/** Matrices are turned: Hugging Face's GPT-2 stores (in, out). https://github.com/ggml-org/llama.cpp/blob/master/conversion/gpt2.py */
export const gpt2: GgufArchitecture = {
  name: 'gpt2',
  types: ['gpt2'],
  config(meta, tensors) {
    const s = sizesOf(meta, 'gpt2', tensors)
    return {
      architectures: ['GPT2LMHeadModel'],
      model_type: 'gpt2',
      ...s.tokens,
      activation_function: 'gelu_new',
      layer_norm_epsilon: epsilon(meta, 'gpt2.attention.layer_norm_epsilon'),
      n_embd: s.hidden,
      n_head: s.heads,
      n_inner: s.mlp,
      n_layer: s.layers,
      n_positions: s.positions,
      tie_word_embeddings: !tensors.has('output.weight'),
      vocab_size: s.vocab,
    }
  },
  harmless: {},
  names: {
    token_embd: 'transformer.wte',
    position_embd: 'transformer.wpe',
    output_norm: 'transformer.ln_f',
    output: 'lm_head',
    'blk.{i}.attn_norm': 'transformer.h.{i}.ln_1',
    'blk.{i}.attn_qkv': 'transformer.h.{i}.attn.c_attn',
    'blk.{i}.attn_output': 'transformer.h.{i}.attn.c_proj',
    'blk.{i}.ffn_norm': 'transformer.h.{i}.ln_2',
    'blk.{i}.ffn_up': 'transformer.h.{i}.mlp.c_fc',
    'blk.{i}.ffn_down': 'transformer.h.{i}.mlp.c_proj',
  },
  folded: [],
  change: (stem, kind) => (kind === 'weight' && /(attn_qkv|attn_output|ffn_up|ffn_down)$/.test(stem) ? { kind: 'transposed' } : undefined),
  metadata: config => [
    ['gpt2.block_count', 'u32', count(config, 'n_layer')],
    ['gpt2.context_length', 'u32', count(config, 'n_positions')],
    ['gpt2.embedding_length', 'u32', count(config, 'n_embd')],
    ['gpt2.feed_forward_length', 'u32', (config.n_inner as number | null | undefined) ?? 4 * count(config, 'n_embd')],
    ['gpt2.attention.head_count', 'u32', count(config, 'n_head')],
    ['gpt2.attention.layer_norm_epsilon', 'f32', real(config, 'layer_norm_epsilon', 1e-5)],
    ['gpt2.vocab_size', 'u32', count(config, 'vocab_size')],
  ],
}
