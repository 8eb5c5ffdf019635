import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** Gemma: scaled embeddings, wide heads, gains stored around zero. https://arxiv.org/abs/2403.08295 */
export const gemma: ModelDefinition = {
  type: 'gemma',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout') // training
    c.only('use_bidirectional_attention', false)
    const counts = headCounts(c, { dim: 3072, heads: 16, kvHeads: 16, headDim: 256 })
    const maxPositions = c.count('max_position_embeddings', 8192)
    const bias = c.flag('attention_bias', false)
    const told = c.activation('hidden_act', 'gelu_pytorch_tanh')
    const activation = told === 'gelu' ? 'gelu_pytorch_tanh' : told // the first releases said so and meant the approximation
    c.only('hidden_activation', activation)
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, { bias, outBias: bias }),
        position: ropeFromConfig(c, counts.headDim, maxPositions),
        mask: { kind: 'causal' },
      },
      mlp: { kind: 'gated', hidden: c.count('intermediate_size', 24576), bias: false, activation },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'gemma',
      vocab: c.count('vocab_size', 256000),
      dim: counts.dim,
      embed: { scale: counts.dim ** 0.5 },
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0), offset: 1 },
      tied: c.flag('tie_word_embeddings', true),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 28)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...decoderRules, ...headsRules(), ...gatedMlpRules]),
}
