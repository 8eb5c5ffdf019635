import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { switchedMasks } from './window-layers.ts'

/** Qwen2 and Qwen2.5: biases on queries, keys and values; windows in the upper layers where they are switched on. https://arxiv.org/abs/2407.10671 */
export const qwen2: ModelDefinition = {
  type: 'qwen2',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout') // training
    c.only('use_mrope', false)
    const counts = headCounts(c, { dim: 4096, heads: 32, kvHeads: 32 })
    const maxPositions = c.count('max_position_embeddings', 32768)
    const layers = c.count('num_hidden_layers', 32)
    const attention = { ...headsAttention(counts, { bias: true }), position: ropeFromConfig(c, counts.headDim, maxPositions) }
    const mlp: LayerSpec['mlp'] = {
      kind: 'gated',
      hidden: c.count('intermediate_size', 22016),
      bias: false,
      activation: c.activation('hidden_act', 'silu'),
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'qwen2',
      vocab: c.count('vocab_size', 151936),
      dim: counts.dim,
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0) },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: switchedMasks(c, layers).map(mask => ({ attention: { ...attention, mask }, mlp })),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...decoderRules, ...headsRules(), ...gatedMlpRules]),
}
