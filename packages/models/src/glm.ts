import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, fusedMlpRules, headsRules, same } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec, NormPlace } from './spec.ts'

/** GLM-4-9B: few key heads, neighbours of half a head turned as pairs, gate and up in one matrix. https://arxiv.org/abs/2406.12793 */
export const glm: ModelDefinition = {
  type: 'glm',
  spec: json => glmSpec('glm', 'before', json),
  layout: spec => decoderLayout([...decoderRules, ...headsRules(), ...fusedMlpRules(spec)]),
}

/** GLM-4-0414: the same with a norm after each block as well. https://huggingface.co/zai-org/GLM-4-32B-0414 */
export const glm4: ModelDefinition = {
  type: 'glm4',
  spec: json => glmSpec('glm4', 'around', json),
  layout: spec =>
    decoderLayout([
      same('model.layers.{i}.post_self_attn_layernorm', 'layers.{i}.attentionOutputNorm'),
      same('model.layers.{i}.post_mlp_layernorm', 'layers.{i}.mlpOutputNorm'),
      ...decoderRules,
      ...headsRules(),
      ...fusedMlpRules(spec),
    ]),
}

function glmSpec(type: string, norm: NormPlace, json: Readonly<Record<string, unknown>>): DecoderSpec {
  const c = new ConfigReader(json)
  c.ignore('attention_dropout') // training
  const counts = headCounts(c, { dim: 4096, heads: 32, kvHeads: 2, headDim: 128 })
  const maxPositions = c.count('max_position_embeddings', 131072)
  const layer: LayerSpec = {
    attention: {
      ...headsAttention(counts, { bias: c.flag('attention_bias', true) }),
      position: ropeFromConfig(c, counts.headDim, maxPositions, { partial: 0.5, pairing: 'interleaved' }),
      mask: { kind: 'causal' },
      norm,
    },
    mlp: { kind: 'gated', hidden: c.count('intermediate_size', 13696), bias: false, activation: c.activation('hidden_act', 'silu'), norm },
  }
  const spec: DecoderSpec = {
    kind: 'decoder',
    type,
    vocab: c.count('vocab_size', 151552),
    dim: counts.dim,
    norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1.5625e-7, 0) },
    tied: c.flag('tie_word_embeddings', false),
    maxPositions,
    layers: new Array(c.count('num_hidden_layers', 40)).fill(layer),
  }
  c.finish()
  return spec
}
