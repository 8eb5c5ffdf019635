import { layout } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { computed, conv1d, fused, headOf, normRules, same, under } from './file-names.ts'
import { GPT_ALIASES, gptCounts } from './gpt-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** GPT-2: learned positions, projections stored (in, out). https://openai.com/index/better-language-models */
export const gpt2: ModelDefinition = {
  type: 'gpt2',
  spec(json) {
    const c = new ConfigReader(json, { aliases: GPT_ALIASES })
    c.only('add_cross_attention', false)
    c.ignore('reorder_and_upcast_attn') // mixed precision
    const { dim, heads, headDim, layers, positions, hidden } = gptCounts(c, { dim: 768, heads: 12, layers: 12, positions: 1024 })
    const scale = c.flag('scale_attn_weights', true) ? headDim ** -0.5 : 1
    const perLayer = c.flag('scale_attn_by_inverse_layer_idx', false)
    const mlp: LayerSpec['mlp'] = { kind: 'plain', hidden, bias: true, activation: c.activation('activation_function', 'gelu_new') }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'gpt2',
      vocab: c.count('vocab_size', 50257),
      dim,
      embed: { positions: { rows: positions, first: 0 } },
      norm: { kind: 'layer', eps: c.number('layer_norm_epsilon', 1e-5, 0), bias: true },
      tied: c.flag('tie_word_embeddings', true),
      maxPositions: positions,
      layers: Array.from({ length: layers }, (_, i) => ({
        attention: {
          variant: 'mha',
          config: { dim, heads, headDim, bias: true, outBias: true, scale: perLayer ? scale / (i + 1) : scale },
          position: { kind: 'none' },
          mask: { kind: 'causal' },
        },
        mlp,
      })),
    }
    c.finish()
    return spec
  },
  layout: ({ dim }) =>
    layout([
      ...under('transformer.', at => [
        same(`${at}wte`, 'embed'),
        same(`${at}wpe`, 'embedding.positions'),
        ...normRules(`${at}ln_f`, 'norm'),
        ...normRules(`${at}h.{i}.ln_1`, 'layers.{i}.attentionNorm'),
        ...normRules(`${at}h.{i}.ln_2`, 'layers.{i}.mlpNorm'),
        ...fused(`${at}h.{i}.attn.c_attn`, [dim, dim, dim], { transposed: true }),
        ...conv1d(`${at}h.{i}.attn.c_proj`, 'layers.{i}.attention.o'),
        ...conv1d(`${at}h.{i}.mlp.c_fc`, 'layers.{i}.mlp.up'),
        ...conv1d(`${at}h.{i}.mlp.c_proj`, 'layers.{i}.mlp.down'),
        ...computed(`${at}h.{i}.attn.bias`, `${at}h.{i}.attn.masked_bias`),
      ]),
      ...headOf('lm_head'),
    ]),
}
