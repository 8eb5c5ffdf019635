import { alibiSlopes } from '@attune/position'
import { layout } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { fused, headOf, normRules, same, under } from './file-names.ts'
import { headWidth } from './heads-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** BLOOM: linear biases, a norm after the embeddings. https://arxiv.org/abs/2211.05100 */
export const bloom: ModelDefinition = {
  type: 'bloom',
  spec(json) {
    const c = new ConfigReader(json, {
      aliases: { n_embed: 'hidden_size', num_hidden_layers: 'n_layer', num_attention_heads: 'n_head' },
    })
    c.ignore('hidden_dropout', 'attention_dropout', 'seq_length') // training
    c.ignore('pretraining_tp', 'slow_but_exact') // another order of the same sums
    // How Megatron ran it.
    c.ignore(
      'attention_softmax_in_fp32',
      'bias_dropout_fusion',
      'masked_softmax_fusion',
      'offset_alibi',
      'skip_bias_add',
      'skip_bias_add_qkv',
    )
    const dim = c.count('hidden_size', 64)
    const heads = c.count('n_head', 8)
    const headDim = headWidth(c, 'n_head', dim, heads)
    c.only('n_inner', 4 * dim)
    const norm = { kind: 'layer', eps: c.number('layer_norm_epsilon', 1e-5, 0), bias: true } as const
    const residual = c.flag('apply_residual_connection_post_layernorm', false) ? ({ of: 'norm', keep: 1, add: 1 } as const) : undefined
    const layer: LayerSpec = {
      attention: {
        variant: 'mha',
        config: { dim, heads, headDim, bias: true, outBias: true },
        position: { kind: 'alibi', slopes: alibiSlopes(heads) },
        mask: { kind: 'causal' },
        ...(residual ? { residual } : {}),
      },
      mlp: { kind: 'plain', hidden: 4 * dim, bias: true, activation: 'gelu_new', ...(residual ? { residual } : {}) },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'bloom',
      vocab: c.count('vocab_size', 250880),
      dim,
      embed: { norm },
      norm,
      tied: c.flag('tie_word_embeddings', true),
      maxPositions: 2048,
      layers: new Array(c.count('n_layer', 2)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout({ layers: [{ attention }] }) {
    const { heads, headDim } = attention.config as { heads: number; headDim: number }
    return layout([
      ...under('transformer.', at => [
        same(`${at}word_embeddings`, 'embed'),
        ...normRules(`${at}word_embeddings_layernorm`, 'embedding.norm'),
        ...normRules(`${at}ln_f`, 'norm'),
        ...normRules(`${at}h.{i}.input_layernorm`, 'layers.{i}.attentionNorm'),
        ...normRules(`${at}h.{i}.post_attention_layernorm`, 'layers.{i}.mlpNorm'),
        // Each head's query, key and value lie together.
        ...fused(`${at}h.{i}.self_attention.query_key_value`, [headDim, headDim, headDim], { groups: heads }),
        same(`${at}h.{i}.self_attention.dense`, 'layers.{i}.attention.o'),
        same(`${at}h.{i}.mlp.dense_h_to_4h`, 'layers.{i}.mlp.up'),
        same(`${at}h.{i}.mlp.dense_4h_to_h`, 'layers.{i}.mlp.down'),
      ]),
      ...headOf('lm_head'),
    ])
  },
}
