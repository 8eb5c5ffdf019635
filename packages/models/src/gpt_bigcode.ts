import { layout } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { computed, fused, headOf, normRules, same, under } from './file-names.ts'
import { GPT_ALIASES, gptCounts } from './gpt-config.ts'
import { headsAttention, kvHeadsOf } from './heads-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** GPT-BigCode, the architecture of SantaCoder and StarCoder: GPT-2 with one key head. https://arxiv.org/abs/2301.03988 */
export const gptBigcode: ModelDefinition = {
  type: 'gpt_bigcode',
  spec(json) {
    const c = new ConfigReader(json, { aliases: GPT_ALIASES })
    c.only('add_cross_attention', false)
    c.ignore('attention_softmax_in_fp32', 'scale_attention_softmax_in_fp32', 'reorder_and_upcast_attn') // mixed precision
    // How an older runner was set up.
    c.ignore(
      'inference_runner',
      'max_batch_size',
      'max_sequence_length',
      'pad_key_length',
      'pre_allocate_kv_cache',
      'validate_runner_input',
    )
    const { dim, heads, headDim, layers, positions, hidden } = gptCounts(c, { dim: 768, heads: 12, layers: 12, positions: 1024 })
    const kvHeads = c.flag('multi_query', true) ? 1 : heads
    c.only('num_key_value_heads', kvHeads)
    const scale = c.flag('scale_attn_weights', true) ? headDim ** -0.5 : 1
    const layer: LayerSpec = {
      attention: {
        ...headsAttention({ dim, heads, kvHeads, headDim }, { bias: true, outBias: true, scale }),
        position: { kind: 'none' },
        mask: { kind: 'causal' },
      },
      mlp: { kind: 'plain', hidden, bias: true, activation: c.activation('activation_function', 'gelu_pytorch_tanh') },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'gpt_bigcode',
      vocab: c.count('vocab_size', 50257),
      dim,
      embed: { positions: { rows: positions, first: 0 } },
      norm: { kind: 'layer', eps: c.number('layer_norm_epsilon', 1e-5, 0), bias: true },
      tied: c.flag('tie_word_embeddings', true),
      maxPositions: positions,
      layers: new Array(layers).fill(layer),
    }
    c.finish()
    return spec
  },
  kvHeads: (count, config) => ({
    multi_query: count === 1,
    ...('num_key_value_heads' in config ? { num_key_value_heads: count } : {}),
  }),
  layout({ dim, layers: [{ attention }] }) {
    const { heads, headDim } = attention.config as { heads: number; headDim: number }
    // With a key head for each query head, those of one head lie together.
    const [heights, groups] = kvHeadsOf(attention) === 1 ? [[dim, headDim, headDim], 1] : [[headDim, headDim, headDim], heads]
    return layout([
      ...under('transformer.', at => [
        same(`${at}wte`, 'embed'),
        same(`${at}wpe`, 'embedding.positions'),
        ...normRules(`${at}ln_f`, 'norm'),
        ...normRules(`${at}h.{i}.ln_1`, 'layers.{i}.attentionNorm'),
        ...normRules(`${at}h.{i}.ln_2`, 'layers.{i}.mlpNorm'),
        ...fused(`${at}h.{i}.attn.c_attn`, heights, { groups }),
        same(`${at}h.{i}.attn.c_proj`, 'layers.{i}.attention.o'),
        same(`${at}h.{i}.mlp.c_fc`, 'layers.{i}.mlp.up'),
        same(`${at}h.{i}.mlp.c_proj`, 'layers.{i}.mlp.down'),
        ...computed(`${at}h.{i}.attn.bias`, `${at}h.{i}.attn.masked_bias`),
      ]),
      ...headOf('lm_head'),
    ])
  },
}
