import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** OLMo: norms that learn nothing; queries, keys and values that may be clamped. https://arxiv.org/abs/2402.00838 */
export const olmo: ModelDefinition = {
  type: 'olmo',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout') // training
    const counts = headCounts(c, { dim: 4096, heads: 32 })
    const maxPositions = c.count('max_position_embeddings', 2048)
    const bias = c.flag('attention_bias', false)
    const clip = c.optionalNumber('clip_qkv')
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, { bias, outBias: bias, ...(clip === undefined ? {} : { clip }) }),
        position: ropeFromConfig(c, counts.headDim, maxPositions),
        mask: { kind: 'causal' },
      },
      mlp: { kind: 'gated', hidden: c.count('intermediate_size', 11008), bias: false, activation: c.activation('hidden_act', 'silu') },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'olmo',
      vocab: c.count('vocab_size', 50304),
      dim: counts.dim,
      norm: { kind: 'layer', eps: 1e-5, bias: false, gain: false },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 32)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...decoderRules, ...headsRules(), ...gatedMlpRules]),
}
