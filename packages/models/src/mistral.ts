import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { windowMask } from './window-layers.ts'

/** Mistral: Llama with a sliding window in every layer. https://arxiv.org/abs/2310.06825 */
export const mistral: ModelDefinition = {
  type: 'mistral',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout') // training
    c.only('attention_bias', false)
    const counts = headCounts(c, { dim: 4096, heads: 32, kvHeads: 8 })
    const maxPositions = c.count('max_position_embeddings', 131072)
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, {}),
        position: ropeFromConfig(c, counts.headDim, maxPositions),
        mask: windowMask(c.optionalCount('sliding_window', 4096)),
      },
      mlp: { kind: 'gated', hidden: c.count('intermediate_size', 14336), bias: false, activation: c.activation('hidden_act', 'silu') },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'mistral',
      vocab: c.count('vocab_size', 32000),
      dim: counts.dim,
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0) },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 32)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...decoderRules, ...headsRules(), ...gatedMlpRules]),
}
