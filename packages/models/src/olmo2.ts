import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules, outputNormRules, qkNormRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** OLMo 2: blocks read the stream as it is and their outputs are normed; so are all queries of a token together, and all keys. https://arxiv.org/abs/2501.00656 */
export const olmo2: ModelDefinition = {
  type: 'olmo2',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout') // training
    const counts = headCounts(c, { dim: 4096, heads: 32 })
    const maxPositions = c.count('max_position_embeddings', 2048)
    const norm = { kind: 'rms', eps: c.number('rms_norm_eps', 1e-5, 0) } as const
    const bias = c.flag('attention_bias', false)
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, { bias, outBias: bias, qkNorm: { ...norm, over: 'all' } }),
        position: ropeFromConfig(c, counts.headDim, maxPositions),
        mask: { kind: 'causal' },
        norm: 'after',
      },
      mlp: {
        kind: 'gated',
        hidden: c.count('intermediate_size', 11008),
        bias: false,
        activation: c.activation('hidden_act', 'silu'),
        norm: 'after',
      },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'olmo2',
      vocab: c.count('vocab_size', 50304),
      dim: counts.dim,
      norm,
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 32)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...outputNormRules, ...decoderRules, ...headsRules(), ...qkNormRules, ...gatedMlpRules]),
}
