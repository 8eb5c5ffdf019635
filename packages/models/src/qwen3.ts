import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules, qkNormRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { switchedMasks } from './window-layers.ts'

/** Qwen3: each head's queries and keys are normed. https://arxiv.org/abs/2505.09388 */
export const qwen3: ModelDefinition = {
  type: 'qwen3',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout') // training
    const counts = headCounts(c, { dim: 4096, heads: 32, kvHeads: 32, headDim: 128 })
    const maxPositions = c.count('max_position_embeddings', 32768)
    const layers = c.count('num_hidden_layers', 32)
    const norm = { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0) } as const
    const bias = c.flag('attention_bias', false)
    const attention = {
      ...headsAttention(counts, { bias, outBias: bias, qkNorm: norm }),
      position: ropeFromConfig(c, counts.headDim, maxPositions),
    }
    const mlp: LayerSpec['mlp'] = {
      kind: 'gated',
      hidden: c.count('intermediate_size', 22016),
      bias: false,
      activation: c.activation('hidden_act', 'silu'),
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'qwen3',
      vocab: c.count('vocab_size', 151936),
      dim: counts.dim,
      norm,
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: switchedMasks(c, layers).map(mask => ({ attention: { ...attention, mask }, mlp })),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...decoderRules, ...headsRules(), ...qkNormRules, ...gatedMlpRules]),
}
