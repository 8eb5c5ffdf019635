import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules, outputNormRules, qkNormRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { layerMasks, slidingLayers } from './window-layers.ts'

/** OLMo 3: OLMo 2 with three layers of windows to one that sees everything, which alone is scaled to longer contexts. https://arxiv.org/abs/2512.13961 */
export const olmo3: ModelDefinition = {
  type: 'olmo3',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout') // training
    const counts = headCounts(c, { dim: 4096, heads: 32 })
    const maxPositions = c.count('max_position_embeddings', 2048)
    const layers = c.count('num_hidden_layers', 32)
    const norm = { kind: 'rms', eps: c.number('rms_norm_eps', 1e-5, 0) } as const
    const types = slidingLayers(c, layers, i => (i + 1) % 4 !== 0)
    const masks = layerMasks(c, types, c.optionalCount('sliding_window', 4096))
    const bias = c.flag('attention_bias', false)
    const attention = { ...headsAttention(counts, { bias, outBias: bias, qkNorm: { ...norm, over: 'all' } }), norm: 'after' } as const
    const rope = (kind: string) =>
      ropeFromConfig(c, counts.headDim, maxPositions, { layers: kind, theta: 5e5, scaled: kind === 'full_attention' })
    const positions = { full_attention: rope('full_attention'), sliding_attention: rope('sliding_attention') }
    const mlp: LayerSpec['mlp'] = {
      kind: 'gated',
      hidden: c.count('intermediate_size', 11008),
      bias: false,
      activation: c.activation('hidden_act', 'silu'),
      norm: 'after',
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'olmo3',
      vocab: c.count('vocab_size', 50304),
      dim: counts.dim,
      norm,
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: types.map((type, i) => ({ attention: { ...attention, position: positions[type], mask: masks[i] }, mlp })),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...outputNormRules, ...decoderRules, ...headsRules(), ...qkNormRules, ...gatedMlpRules]),
}
