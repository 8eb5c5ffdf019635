import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules, outputNormRules, qkNormRules, same } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { layerMasks, slidingLayers } from './window-layers.ts'

/** Gemma 3, text alone: five layers of windows, turned by a base of their own, to one that sees everything. https://arxiv.org/abs/2503.19786 */
export const gemma3Text: ModelDefinition = {
  type: 'gemma3_text',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'cache_implementation')
    c.ignore('_sliding_window_pattern') // layer_types says it
    c.only('use_bidirectional_attention', false)
    c.only('attn_logit_softcapping', undefined)
    const counts = headCounts(c, { dim: 2304, heads: 8, kvHeads: 4, headDim: 256 })
    const maxPositions = c.count('max_position_embeddings', 131072)
    const layers = c.count('num_hidden_layers', 26)
    const norm = { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0), offset: 1 } as const
    const bias = c.flag('attention_bias', false)
    const every = c.count('sliding_window_pattern', 6)
    const types = slidingLayers(c, layers, i => (i + 1) % every !== 0)
    const masks = layerMasks(c, types, c.optionalCount('sliding_window', 4096))
    const attention = {
      ...headsAttention(counts, { bias, outBias: bias, qkNorm: norm, scale: c.number('query_pre_attn_scalar', 256) ** -0.5 }),
      norm: 'around',
    } as const
    const positions = {
      full_attention: ropeFromConfig(c, counts.headDim, maxPositions, { layers: 'full_attention', theta: 1e6 }),
      sliding_attention: ropeFromConfig(c, counts.headDim, maxPositions, {
        layers: 'sliding_attention',
        theta: 1e4,
        thetaKey: 'rope_local_base_freq',
        scaled: false,
      }),
    }
    const mlp: LayerSpec['mlp'] = {
      kind: 'gated',
      hidden: c.count('intermediate_size', 9216),
      bias: false,
      activation: c.activation('hidden_activation', 'gelu_pytorch_tanh'),
      norm: 'around',
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'gemma3_text',
      vocab: c.count('vocab_size', 262208),
      dim: counts.dim,
      embed: { scale: counts.dim ** 0.5 },
      norm,
      tied: c.flag('tie_word_embeddings', true),
      maxPositions,
      layers: types.map((type, i) => ({ attention: { ...attention, position: positions[type], mask: masks[i] }, mlp })),
      logitCap: c.optionalNumber('final_logit_softcapping'),
    }
    c.finish()
    return spec
  },
  layout: () =>
    decoderLayout([
      ...outputNormRules,
      same('model.layers.{i}.pre_feedforward_layernorm', 'layers.{i}.mlpNorm'),
      ...decoderRules,
      ...headsRules(),
      ...qkNormRules,
      ...gatedMlpRules,
    ]),
}
