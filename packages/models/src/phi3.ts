import { rule, split } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, fusedMlpRules, same } from './file-names.ts'
import { headCounts, headsAttention, kvHeadsOf } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { windowMask } from './window-layers.ts'

/** Phi-3, Phi-3.5 and Phi-4: fused projections, LongRoPE. https://arxiv.org/abs/2404.14219 */
export const phi3: ModelDefinition = {
  type: 'phi3',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'embd_pdrop', 'resid_pdrop') // training
    for (const biased of ['attention_bias', 'mlp_bias', 'lm_head_bias']) c.only(biased, false)
    for (const once of ['full_attn_mod', 'interpolate_factor']) c.only(once, 1)
    const counts = headCounts(c, { dim: 3072, heads: 32 })
    const maxPositions = c.count('max_position_embeddings', 4096)
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, {}),
        position: ropeFromConfig(c, counts.headDim, maxPositions, {
          partial: 1,
          trained: 4096,
          types: { su: 'longrope', yarn: 'longrope' },
        }),
        mask: windowMask(c.optionalCount('sliding_window')),
      },
      mlp: { kind: 'gated', hidden: c.count('intermediate_size', 8192), bias: false, activation: c.activation('hidden_act', 'silu') },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'phi3',
      vocab: c.count('vocab_size', 32064),
      dim: counts.dim,
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-5, 0) },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 32)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout(spec) {
    const [{ attention }] = spec.layers
    const { heads, headDim } = attention.config as Record<'heads' | 'headDim', number>
    const kvHeads = kvHeadsOf(attention)
    const [file, param] = ['model.layers.{i}', 'layers.{i}']
    return decoderLayout([
      ...decoderRules,
      rule(
        `${file}.self_attn.qkv_proj.weight`,
        ['q', 'k', 'v'].map(x => `${param}.attention.${x}.weight`),
        split(0, [heads * headDim, kvHeads * headDim, kvHeads * headDim]),
      ),
      same(`${file}.self_attn.o_proj`, `${param}.attention.o`),
      ...fusedMlpRules(spec),
    ])
  },
}
