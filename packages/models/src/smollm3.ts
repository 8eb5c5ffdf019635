import type { PositionSpec } from '@attune/position'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { layerMasks, slidingLayers } from './window-layers.ts'

/** SmolLM3: every fourth layer has no positions. https://huggingface.co/blog/smollm3, https://arxiv.org/abs/2501.18795 */
export const smollm3: ModelDefinition = {
  type: 'smollm3',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'pretraining_tp') // training
    c.ignore('max_window_layers') // layer_types says which layers slide
    const counts = headCounts(c, { dim: 2048, heads: 16, kvHeads: 4 })
    const maxPositions = c.count('max_position_embeddings', 32768)
    const layers = c.count('num_hidden_layers', 36)
    const turned = turnedLayers(c, layers)
    const window = c.optionalCount('sliding_window')
    const used = c.flag('use_sliding_window', false) && window !== undefined
    const masks = layerMasks(
      c,
      slidingLayers(c, layers, i => used && !turned[i]),
      window,
    )
    const bias = c.flag('attention_bias', false)
    const attention = headsAttention(counts, { bias, outBias: bias })
    const rope = ropeFromConfig(c, counts.headDim, maxPositions, { theta: 2e6 })
    const position = (turns: boolean): PositionSpec => (turns ? rope : { kind: 'none' })
    const mlp: LayerSpec['mlp'] = {
      kind: 'gated',
      hidden: c.count('intermediate_size', 11008),
      bias: c.flag('mlp_bias', false),
      activation: c.activation('hidden_act', 'silu'),
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'smollm3',
      vocab: c.count('vocab_size', 128256),
      dim: counts.dim,
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0) },
      tied: c.flag('tie_word_embeddings', true),
      maxPositions,
      layers: masks.map((mask, i) => ({ attention: { ...attention, position: position(turned[i]), mask }, mlp })),
    }
    c.finish()
    return spec
  },
  layout: () => decoderLayout([...decoderRules, ...headsRules(), ...gatedMlpRules]),
}

/** Which layers turn queries and keys: `no_rope_layers` has a 1 for each that does. */
function turnedLayers(c: ConfigReader, layers: number): boolean[] {
  const every = c.count('no_rope_layer_interval', 4)
  const given = c.raw('no_rope_layers') ?? Array.from({ length: layers }, (_, i) => ((i + 1) % every === 0 ? 0 : 1))
  if (!Array.isArray(given) || given.length < layers || given.some(x => x !== 0 && x !== 1))
    throw c.wrong('no_rope_layers', `a list of 0 or 1 for each of ${layers} layers`, given)
  return given.map(x => x === 1)
}
