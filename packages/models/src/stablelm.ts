import { rule, stack } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { biasedNormDecoderRules, decoderLayout, gatedMlpRules, headsRules } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** StableLM: partly rotary heads, in its larger sizes with norms of their own and blocks side by side. https://arxiv.org/abs/2402.17834 */
export const stablelm: ModelDefinition = {
  type: 'stablelm',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'hidden_dropout') // training
    c.only('rotary_scaling_factor', 1)
    const counts = headCounts(c, { dim: 2560, heads: 32, kvHeads: 32 })
    if (counts.headDim * counts.heads !== counts.dim) throw c.wrong('head_dim', `hidden_size / num_attention_heads`, counts.headDim)
    const maxPositions = c.count('max_position_embeddings', 4096)
    const eps = c.number('layer_norm_eps', 1e-5, 0)
    const qkNorm = c.flag('qk_layernorm', false) ? { qkNorm: { kind: 'layer', eps, bias: false, over: 'own' } } : {}
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, { bias: c.flag('use_qkv_bias', false), ...qkNorm }),
        position: ropeFromConfig(c, counts.headDim, maxPositions, { partial: 0.25 }),
        mask: { kind: 'causal' },
      },
      mlp: { kind: 'gated', hidden: c.count('intermediate_size', 6912), bias: false, activation: c.activation('hidden_act', 'silu') },
      ...(c.flag('use_parallel_residual', false) ? { parallel: 'shared' } : {}),
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'stablelm',
      vocab: c.count('vocab_size', 50304),
      dim: counts.dim,
      norm: { kind: 'layer', eps, bias: true },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 32)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout: () =>
    decoderLayout([
      ...biasedNormDecoderRules,
      ...headsRules(),
      ...['q', 'k'].map(x =>
        rule(`model.layers.{i}.self_attn.${x}_layernorm.norms.{h*}.weight`, `layers.{i}.attention.${x}Norm.weight`, stack()),
      ),
      ...gatedMlpRules,
    ]),
}
