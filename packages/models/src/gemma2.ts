import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules, outputNormRules, same } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** Gemma 2: windows in every second layer, capped scores and logits, norms around each block. https://arxiv.org/abs/2408.00118 */
export const gemma2: ModelDefinition = {
  type: 'gemma2',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'cache_implementation')
    c.ignore('hidden_act') // hidden_activation counts
    c.only('use_bidirectional_attention', false)
    const counts = headCounts(c, { dim: 2304, heads: 8, kvHeads: 4, headDim: 256 })
    const maxPositions = c.count('max_position_embeddings', 8192)
    const bias = c.flag('attention_bias', false)
    const layers = c.count('num_hidden_layers', 26)
    const window = c.count('sliding_window', 4096)
    const kinds = ['sliding_attention', 'full_attention'] as const
    const types = c.layerTypes('layer_types', layers, kinds, i => kinds[i % 2])
    const attention = {
      ...headsAttention(counts, {
        ...{ bias, outBias: bias },
        scale: c.number('query_pre_attn_scalar', 256) ** -0.5,
        softcap: c.optionalNumber('attn_logit_softcapping', 50),
      }),
      position: ropeFromConfig(c, counts.headDim, maxPositions),
      norm: 'around',
    } as const
    const mlp: LayerSpec['mlp'] = {
      kind: 'gated',
      hidden: c.count('intermediate_size', 9216),
      bias: false,
      activation: c.activation('hidden_activation', 'gelu_pytorch_tanh'),
      norm: 'around',
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'gemma2',
      vocab: c.count('vocab_size', 256000),
      dim: counts.dim,
      embed: { scale: counts.dim ** 0.5 },
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0), offset: 1 },
      tied: c.flag('tie_word_embeddings', true),
      maxPositions,
      layers: types.map(
        (type): LayerSpec => ({
          attention: { ...attention, mask: type === 'full_attention' ? { kind: 'causal' } : { kind: 'window', size: window } },
          mlp,
        }),
      ),
      logitCap: c.optionalNumber('final_logit_softcapping', 30),
    }
    c.finish()
    return spec
  },
  layout: () =>
    decoderLayout([
      ...outputNormRules,
      same('model.layers.{i}.pre_feedforward_layernorm', 'layers.{i}.mlpNorm'),
      ...decoderRules,
      ...headsRules(),
      ...gatedMlpRules,
    ]),
}
