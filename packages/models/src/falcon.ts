import { alibiSlopes, type PositionSpec } from '@attune/position'
import { layout } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { computed, fused, headOf, normRules, same, under } from './file-names.ts'
import { headsAttention, headWidth, kvHeadsOf } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** Falcon in its three makes: 7B (one key head, blocks side by side), 40B (groups) and RW (blocks in turn). https://arxiv.org/abs/2311.16867 */
export const falcon: ModelDefinition = {
  type: 'falcon',
  spec(json) {
    const c = new ConfigReader(json, { aliases: { n_embed: 'hidden_size' } })
    c.ignore('hidden_dropout', 'attention_dropout') // training
    c.only('apply_residual_connection_post_layernorm', false)
    const dim = c.count('hidden_size', 4544)
    const heads = c.count('num_attention_heads', 71)
    const headDim = headWidth(c, 'num_attention_heads', dim, heads)
    const maxPositions = c.count('max_position_embeddings', 2048)
    const bias = setting(c, 'bias', false)
    const norm = { kind: 'layer', eps: c.number('layer_norm_epsilon', 1e-5, 0), bias: true } as const
    const { kvHeads, parallel } = makeOf(c, heads)
    const hidden = c.optionalCount('ffn_hidden_size', 4 * dim) ?? 4 * dim
    const layer: LayerSpec = {
      attention: {
        ...headsAttention({ dim, heads, kvHeads, headDim }, { bias, outBias: bias }),
        position: positionOf(c, heads, headDim, maxPositions),
        mask: { kind: 'causal' },
      },
      mlp: { kind: 'plain', hidden, bias, activation: c.activation('activation', 'gelu') },
      ...(parallel ? { parallel } : {}),
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'falcon',
      vocab: c.count('vocab_size', 65024),
      dim,
      norm,
      tied: c.flag('tie_word_embeddings', true),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 32)).fill(layer),
    }
    c.finish()
    return spec
  },
  kvHeads: (count, { new_decoder_architecture: grouped, num_kv_heads: counted }) =>
    grouped ? { num_kv_heads: count } : { multi_query: count === 1, ...(counted == null || count === 1 ? {} : { num_kv_heads: count }) },
  layout({ layers: [{ attention, parallel }] }) {
    const { heads, headDim } = attention.config as Record<'heads' | 'headDim', number>
    const kvHeads = kvHeadsOf(attention)
    return layout([
      ...under('transformer.', at => [
        same(`${at}word_embeddings`, 'embed'),
        ...normRules(`${at}ln_f`, 'norm'),
        ...normRules(`${at}h.{i}.${parallel === 'own' ? 'ln_attn' : 'input_layernorm'}`, 'layers.{i}.attentionNorm'),
        ...normRules(`${at}h.{i}.${parallel === 'own' ? 'ln_mlp' : 'post_attention_layernorm'}`, 'layers.{i}.mlpNorm'),
        // The queries that share a key head, then it and its value head.
        ...fused(`${at}h.{i}.self_attention.query_key_value`, [(heads / kvHeads) * headDim, headDim, headDim], { groups: kvHeads }),
        same(`${at}h.{i}.self_attention.dense`, 'layers.{i}.attention.o'),
        same(`${at}h.{i}.mlp.dense_h_to_4h`, 'layers.{i}.mlp.up'),
        same(`${at}h.{i}.mlp.dense_4h_to_h`, 'layers.{i}.mlp.down'),
        ...computed(`${at}h.{i}.self_attention.rotary_emb.inv_freq`),
      ]),
      ...headOf('lm_head'),
    ])
  },
}

/** A flag that is off where the config says null. */
function setting(c: ConfigReader, key: string, otherwise: boolean): boolean {
  return c.flag(key, c.json[key] === null ? false : otherwise)
}

function makeOf(c: ConfigReader, heads: number): { kvHeads: number; parallel?: LayerSpec['parallel'] } {
  const grouped = setting(c, 'new_decoder_architecture', false)
  const side = setting(c, 'parallel_attn', true)
  const norms = c.optionalCount('num_ln_in_parallel_attn', grouped ? 2 : 1) ?? (grouped ? 2 : 1)
  const counted = c.optionalCount('num_kv_heads', heads) ?? heads
  if (grouped && !side) throw c.wrong('parallel_attn', "true with 'new_decoder_architecture'", false)
  if (norms > (grouped ? 2 : 1))
    throw c.wrong('num_ln_in_parallel_attn', grouped ? '1 or 2' : "1 without 'new_decoder_architecture'", norms)
  const shared = setting(c, 'multi_query', true)
  if (grouped) {
    if (heads % counted !== 0) throw c.wrong('num_kv_heads', `a divisor of num_attention_heads (${heads})`, counted)
    return { kvHeads: counted, parallel: norms === 2 ? 'own' : 'shared' }
  }
  if (!shared && counted !== heads) throw c.wrong('num_kv_heads', `num_attention_heads (${heads}) without 'multi_query'`, counted)
  return { kvHeads: shared ? 1 : heads, ...(side ? { parallel: 'shared' } : {}) }
}

function positionOf(c: ConfigReader, heads: number, headDim: number, maxPositions: number): PositionSpec {
  if (!setting(c, 'alibi', false)) return ropeFromConfig(c, headDim, maxPositions)
  c.ignore('rope_parameters', 'rope_theta', 'rope_scaling') // nothing turns
  // transformers makes the biases in bfloat16 and scales them with the scores.
  return { kind: 'alibi', slopes: alibiSlopes(heads), rounded: headDim ** -0.5 }
}
