import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules, qwenExpertRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { sparseLayers } from './moe-layers.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { layerMasks, slidingLayers } from './window-layers.ts'

/** Qwen1.5-MoE and Qwen2-MoE: mixtures beside an expert that all tokens share by a gate. https://arxiv.org/abs/2407.10671 */
export const qwen2Moe: ModelDefinition = {
  type: 'qwen2_moe',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'router_aux_loss_coef', 'output_router_logits') // training
    const counts = headCounts(c, { dim: 2048, heads: 16, kvHeads: 16 })
    const maxPositions = c.count('max_position_embeddings', 32768)
    const layers = c.count('num_hidden_layers', 24)
    const size = c.optionalNumber('sliding_window', 4096)
    const used = c.flag('use_sliding_window', false) ? size : undefined
    if (used !== undefined && !(Number.isInteger(used) && used > 0)) throw c.wrong('sliding_window', 'a positive integer', used)
    const first = c.number('max_window_layers', 28, 0)
    const types = slidingLayers(c, layers, i => used !== undefined && i % 2 === 0 && i < first)
    const attention = {
      ...headsAttention(counts, { bias: c.flag('qkv_bias', true) }),
      position: ropeFromConfig(c, counts.headDim, maxPositions),
    }
    const activation = c.activation('hidden_act', 'silu')
    const dense: LayerSpec['mlp'] = { kind: 'gated', hidden: c.count('intermediate_size', 5632), bias: false, activation }
    const mixture: LayerSpec['mlp'] = {
      kind: 'moe',
      hidden: c.count('moe_intermediate_size', 1408),
      activation,
      router: {
        experts: c.count('num_experts', 60),
        perToken: c.count('num_experts_per_tok', 4),
        scoring: 'softmax',
        normalise: c.flag('norm_topk_prob', false),
      },
      shared: { hidden: c.count('shared_expert_intermediate_size', 5632), gated: true },
    }
    const sparse = sparseLayers(c, layers)
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'qwen2_moe',
      vocab: c.count('vocab_size', 151936),
      dim: counts.dim,
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0) },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: layerMasks(c, types, used).map((mask, i) => ({ attention: { ...attention, mask }, mlp: sparse[i] ? mixture : dense })),
    }
    c.finish()
    return spec
  },
  layout: spec => decoderLayout([...decoderRules, ...headsRules(), ...gatedMlpRules, ...qwenExpertRules(spec)]),
}
