import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec, ResidualSpec } from './spec.ts'

/** Granite: Llama with factors on embeddings, scores, blocks and logits. https://arxiv.org/abs/2408.13359 */
export const granite: ModelDefinition = {
  type: 'granite',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout') // training
    const counts = headCounts(c, { dim: 4096, heads: 32 })
    const maxPositions = c.count('max_position_embeddings', 2048)
    const bias = c.flag('attention_bias', false)
    const residual: ResidualSpec = { of: 'input', keep: 1, add: c.number('residual_multiplier', 1) }
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, { bias, outBias: bias, scale: c.number('attention_multiplier', 1) }),
        position: ropeFromConfig(c, counts.headDim, maxPositions),
        mask: { kind: 'causal' },
        residual,
      },
      mlp: {
        kind: 'gated',
        hidden: c.count('intermediate_size', 11008),
        bias: c.flag('mlp_bias', false),
        activation: c.activation('hidden_act', 'silu'),
        residual,
      },
    }
    const scaling = c.number('logits_scaling', 1)
    if (scaling === 0) throw c.wrong('logits_scaling', 'a number other than 0', scaling)
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'granite',
      vocab: c.count('vocab_size', 32000),
      dim: counts.dim,
      embed: { scale: c.number('embedding_multiplier', 1) },
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0) },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 32)).fill(layer),
      headScale: 1 / scaling,
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...decoderRules, ...headsRules(), ...gatedMlpRules]),
}
