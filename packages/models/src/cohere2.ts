import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { layerMasks, slidingLayers } from './window-layers.ts'

/** Command R7B and A: three layers of windows with rotary positions to one that sees everything and has none. https://arxiv.org/abs/2504.00698 */
export const cohere2: ModelDefinition = {
  type: 'cohere2',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'cache_implementation')
    c.ignore('_sliding_window_pattern') // layer_types says it
    c.ignore('use_embedding_sharing', 'use_parallel_embedding') // how it was trained; tie_word_embeddings counts
    c.only('order_of_interleaved_layers', 'local_attn_first')
    c.only('position_embedding_type', 'rope_gptj')
    c.only('rotary_pct', 1)
    c.only('use_gated_activation', true)
    c.only('use_parallel_block', true)
    c.only('use_qk_norm', false)
    const counts = headCounts(c, { dim: 8192, heads: 64 })
    if (counts.headDim !== Math.floor(counts.dim / counts.heads))
      throw c.wrong('head_dim', 'hidden_size / num_attention_heads', counts.headDim)
    const maxPositions = c.count('max_position_embeddings', 8192)
    const layers = c.count('num_hidden_layers', 40)
    const every = c.count('sliding_window_pattern', 4)
    const types = slidingLayers(c, layers, i => (i + 1) % every !== 0)
    const masks = layerMasks(c, types, c.optionalCount('sliding_window', 4096))
    const bias = c.flag('attention_bias', false)
    const attention = headsAttention(counts, { bias, outBias: bias })
    const positions = {
      sliding_attention: ropeFromConfig(c, counts.headDim, maxPositions, { pairing: 'interleaved' }),
      full_attention: { kind: 'none' },
    } as const
    const mlp: LayerSpec['mlp'] = {
      kind: 'gated',
      hidden: c.count('intermediate_size', 22528),
      bias: false,
      activation: c.activation('hidden_act', 'silu'),
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'cohere2',
      vocab: c.count('vocab_size', 256000),
      dim: counts.dim,
      norm: { kind: 'layer', eps: c.number('layer_norm_eps', 1e-5, 0), bias: false },
      tied: c.flag('tie_word_embeddings', true),
      maxPositions,
      layers: types.map((type, i) => ({
        attention: { ...attention, position: positions[type], mask: masks[i] },
        mlp,
        parallel: 'shared',
      })),
      headScale: c.number('logit_scale', 0.0625),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...decoderRules, ...headsRules(), ...gatedMlpRules]),
}
