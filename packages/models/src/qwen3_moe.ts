import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, gatedMlpRules, headsRules, qkNormRules, qwenExpertRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { sparseLayers } from './moe-layers.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { windowMask } from './window-layers.ts'

/** Qwen3-MoE: Qwen3 with mixtures of experts. https://arxiv.org/abs/2505.09388 */
export const qwen3Moe: ModelDefinition = {
  type: 'qwen3_moe',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'router_aux_loss_coef', 'output_router_logits') // training
    c.ignore('max_window_layers') // a window is for all layers or none
    const counts = headCounts(c, { dim: 2048, heads: 32, kvHeads: 4 })
    const maxPositions = c.count('max_position_embeddings', 32768)
    const layers = c.count('num_hidden_layers', 24)
    const norm = { kind: 'rms', eps: c.number('rms_norm_eps', 1e-6, 0) } as const
    const bias = c.flag('attention_bias', false)
    const size = c.optionalCount('sliding_window', 4096)
    const attention: LayerSpec['attention'] = {
      ...headsAttention(counts, { bias, outBias: bias, qkNorm: norm }),
      position: ropeFromConfig(c, counts.headDim, maxPositions),
      mask: windowMask(c.flag('use_sliding_window', false) ? size : undefined),
    }
    const activation = c.activation('hidden_act', 'silu')
    const dense: LayerSpec['mlp'] = { kind: 'gated', hidden: c.count('intermediate_size', 6144), bias: false, activation }
    const mixture: LayerSpec['mlp'] = {
      kind: 'moe',
      hidden: c.count('moe_intermediate_size', 768),
      activation,
      router: {
        experts: c.optionalCount('num_experts') ?? c.count('num_local_experts', 128),
        perToken: c.count('num_experts_per_tok', 8),
        scoring: 'softmax',
        normalise: c.flag('norm_topk_prob', false),
      },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'qwen3_moe',
      vocab: c.count('vocab_size', 151936),
      dim: counts.dim,
      norm,
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: sparseLayers(c, layers).map(sparse => ({ attention, mlp: sparse ? mixture : dense })),
    }
    c.finish()
    return spec
  },
  layout: spec => decoderLayout([...decoderRules, ...headsRules(), ...qkNormRules, ...gatedMlpRules, ...qwenExpertRules(spec)]),
}
