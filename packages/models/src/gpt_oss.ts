import type { MaskSpec } from '@attune/attention'
import { layout, rule, split, transpose } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderRules, headsRules, same } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** `rope_parameters` that transformers takes where a config has none. */
const yarn = { rope_type: 'yarn', factor: 32, beta_fast: 32, beta_slow: 1, truncate: false, original_max_position_embeddings: 4096 }

/** OpenAI's gpt-oss: learned sinks, every other layer a sliding window, mixtures of clamped gated experts. https://arxiv.org/abs/2508.10925 */
export const gptOss: ModelDefinition = {
  type: 'gpt_oss',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'router_aux_loss_coef', 'output_router_logits') // training
    c.ignore('hidden_act') // the experts' gate is fixed
    c.ignore('initial_context_length', 'experts_per_token') // said again by rope_parameters and num_experts_per_tok
    const counts = headCounts(c, { dim: 2880, heads: 64, kvHeads: 8, headDim: 64 })
    const layers = c.count('num_hidden_layers', 36)
    const maxPositions = c.count('max_position_embeddings', 131072)
    const bias = c.flag('attention_bias', true)
    const position = ropeFromConfig(c, counts.headDim, maxPositions, { theta: 150000, parameters: yarn })
    const kinds = c.layerTypes('layer_types', layers, ['sliding_attention', 'full_attention'], i =>
      i % 2 === 0 ? 'sliding_attention' : 'full_attention',
    )
    const window: MaskSpec = { kind: 'window', size: c.count('sliding_window', 128) }
    const layer = (mask: MaskSpec): LayerSpec => ({
      attention: { ...headsAttention(counts, { bias, outBias: bias, sink: true }), position, mask },
      mlp,
    })
    const mlp: LayerSpec['mlp'] = {
      kind: 'moe',
      hidden: c.count('intermediate_size', 2880),
      activation: { kind: 'clamped', alpha: c.number('swiglu_alpha', 1.702), limit: c.number('swiglu_limit', 7, 0) },
      bias: true,
      router: {
        experts: c.count('num_local_experts', 128),
        perToken: c.count('num_experts_per_tok', 4),
        scoring: 'softmax',
        normalise: true,
        bias: true,
      },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'gpt_oss',
      vocab: c.count('vocab_size', 201088),
      dim: counts.dim,
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-5, 0) },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: kinds.map(kind => layer(kind === 'full_attention' ? { kind: 'causal' } : window)),
    }
    c.finish()
    return spec
  },
  layout({ layers: [{ mlp }] }) {
    const hidden = mlp.kind === 'moe' ? mlp.hidden : 0
    const [file, param] = ['model.layers.{i}.mlp', 'layers.{i}.mlp']
    return layout([
      ...decoderRules,
      ...headsRules(),
      rule('model.layers.{i}.self_attn.sinks', 'layers.{i}.attention.sink.weight'),
      same(`${file}.router`, `${param}.router`),
      // (E, dim, 2 · hidden) in the file, gate and up by turns
      rule(`${file}.experts.gate_up_proj`, halves(param, ''), transpose(), split(1, [1, 1], hidden)),
      rule(`${file}.experts.gate_up_proj_bias`, halves(param, 'Bias'), split(1, [1, 1], hidden)),
      rule(`${file}.experts.down_proj`, `${param}.experts.down.weight`, transpose()),
      rule(`${file}.experts.down_proj_bias`, `${param}.experts.downBias.weight`),
    ])
  },
}

const halves = (param: string, suffix: string): string[] => ['gate', 'up'].map(x => `${param}.experts.${x}${suffix}.weight`)
