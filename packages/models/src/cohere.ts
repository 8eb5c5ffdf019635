import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules, qkNormRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** Command R: attention and feed-forward side by side behind one norm, neighbours turned as pairs, scaled logits. https://docs.cohere.com/docs/command-r */
export const cohere: ModelDefinition = {
  type: 'cohere',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'pretraining_tp') // training
    c.ignore('model_max_length') // the tokenizer's
    const counts = headCounts(c, { dim: 8192, heads: 64 })
    const maxPositions = c.count('max_position_embeddings', 8192)
    const norm = { kind: 'layer', eps: c.number('layer_norm_eps', 1e-5, 0), bias: false } as const
    const bias = c.flag('attention_bias', false)
    const qkNorm = c.flag('use_qk_norm', false) ? { ...norm, over: 'own' } : undefined
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, { bias, outBias: bias, ...(qkNorm ? { qkNorm } : {}) }),
        position: ropeFromConfig(c, counts.headDim, maxPositions, { theta: 5e5, pairing: 'interleaved' }),
        mask: { kind: 'causal' },
      },
      mlp: { kind: 'gated', hidden: c.count('intermediate_size', 22528), bias: false, activation: c.activation('hidden_act', 'silu') },
      parallel: 'shared',
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'cohere',
      vocab: c.count('vocab_size', 256000),
      dim: counts.dim,
      norm,
      tied: c.flag('tie_word_embeddings', true),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 40)).fill(layer),
      headScale: c.number('logit_scale', 0.0625),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...decoderRules, ...headsRules(), ...qkNormRules, ...gatedMlpRules]),
}
