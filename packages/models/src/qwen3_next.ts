import { ignore, layout, reshape, rule, split } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderRules, gatedMlpRules, layersWhere, qwenExpertRules, same } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { sparseLayers } from './moe-layers.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** Qwen3-Next: three layers of Gated DeltaNet to one of gated attention; mixtures with a gated shared expert. https://arxiv.org/abs/2505.09388 */
export const qwen3Next: ModelDefinition = {
  type: 'qwen3_next',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'router_aux_loss_coef', 'output_router_logits') // training
    const counts = headCounts(c, { dim: 2048, heads: 16, kvHeads: 2, headDim: 256 })
    const layers = c.count('num_hidden_layers', 48)
    const maxPositions = c.count('max_position_embeddings', 32768)
    const eps = c.number('rms_norm_eps', 1e-6, 0)
    const norm = { kind: 'rms', eps, offset: 1 } as const
    const bias = c.flag('attention_bias', false)
    const activation = c.activation('hidden_act', 'silu')
    const full: LayerSpec['attention'] = {
      ...headsAttention(counts, { bias, outBias: bias, qkNorm: norm, gate: true }),
      position: ropeFromConfig(c, counts.headDim, maxPositions, { partial: 0.25 }),
      mask: { kind: 'causal' },
    }
    const keyHeads = c.count('linear_num_key_heads', 16)
    const valueHeads = c.count('linear_num_value_heads', 32)
    if (valueHeads % keyHeads !== 0) throw c.wrong('linear_num_value_heads', `a multiple of linear_num_key_heads (${keyHeads})`, valueHeads)
    const linear: LayerSpec['attention'] = {
      variant: 'gated-deltanet',
      config: {
        dim: counts.dim,
        keyHeads,
        valueHeads,
        keyDim: c.count('linear_key_head_dim', 128),
        valueDim: c.count('linear_value_head_dim', 128),
        taps: c.count('linear_conv_kernel_dim', 4),
        activation,
        eps,
      },
      position: { kind: 'none' },
      mask: { kind: 'causal' },
    }
    const interval = c.count('full_attention_interval', 4)
    const kinds = c.layerTypes('layer_types', layers, ['linear_attention', 'full_attention'], i =>
      (i + 1) % interval === 0 ? 'full_attention' : 'linear_attention',
    )
    const dense: LayerSpec['mlp'] = { kind: 'gated', hidden: c.count('intermediate_size', 5632), bias: false, activation }
    const mixture: LayerSpec['mlp'] = {
      kind: 'moe',
      hidden: c.count('moe_intermediate_size', 512),
      activation,
      router: {
        experts: c.count('num_experts', 512),
        perToken: c.count('num_experts_per_tok', 10),
        scoring: 'softmax',
        normalise: c.flag('norm_topk_prob', true),
      },
      shared: { hidden: c.count('shared_expert_intermediate_size', 512), gated: true },
    }
    const sparse = sparseLayers(c, layers)
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'qwen3_next',
      vocab: c.count('vocab_size', 151936),
      dim: counts.dim,
      norm,
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: kinds.map((kind, i) => ({
        attention: kind === 'full_attention' ? full : linear,
        mlp: sparse[i] ? mixture : dense,
      })),
    }
    c.finish()
    return spec
  },
  layout(spec) {
    const linear = layersWhere(spec, isLinear)
    const full = layersWhere(spec, l => !isLinear(l))
    const config = (l: (l: LayerSpec) => boolean) => spec.layers.find(l)!.attention.config as Numbers
    return layout([
      ...decoderRules,
      ...(full
        ? gatedHeadsRules(
            `model.layers.${full}.self_attn`,
            `layers.${full}.attention`,
            config(l => !isLinear(l)),
          )
        : []),
      ...(linear ? deltanetRules(`model.layers.${linear}.linear_attn`, `layers.${linear}.attention`, config(isLinear)) : []),
      ...gatedMlpRules,
      ...qwenExpertRules(spec),
      ignore('mtp.{**}', 'guesses tokens beyond the next'),
    ])
  },
}

type Numbers = Readonly<Record<string, number>>
const isLinear = ({ attention }: LayerSpec): boolean => attention.variant === 'gated-deltanet'

/** Every head's query and its gate lie beside each other. */
const gatedHeadsRules = (file: string, param: string, { heads, headDim }: Numbers) => [
  rule(`${file}.q_proj.{weight|bias}`, [`${param}.q.{weight|bias}`, `${param}.gate.{weight|bias}`], split(0, [headDim, headDim], heads)),
  ...['k', 'v', 'o'].map(x => same(`${file}.${x}_proj`, `${param}.${x}`)),
  ...['q', 'k'].map(x => same(`${file}.${x}_norm`, `${param}.${x}Norm`)),
]

/** The projections lie beside each other in one matrix by key head, the convolutions in one array. */
function deltanetRules(file: string, param: string, config: Numbers) {
  const own = (...names: string[]): string[] => names.map(n => `${param}.${n}.weight`)
  const { keyHeads, valueHeads, keyDim, valueDim, taps } = config
  const shared = valueHeads / keyHeads
  const [keys, values] = [keyHeads * keyDim, valueHeads * valueDim]
  return [
    rule(
      `${file}.in_proj_qkvz.weight`,
      own('q', 'k', 'v', 'gate'),
      split(0, [keyDim, keyDim, shared * valueDim, shared * valueDim], keyHeads),
    ),
    rule(`${file}.in_proj_ba.weight`, own('b', 'a'), split(0, [shared, shared], keyHeads)),
    rule(
      `${file}.conv1d.weight`,
      own('qConv.taps', 'kConv.taps', 'vConv.taps'),
      reshape([2 * keys + values, 1, taps], [2 * keys + values, taps]),
      split(0, [keys, keys, values]),
    ),
    rule(`${file}.A_log`, own('aLog')),
    rule(`${file}.dt_bias`, own('dtBias')),
    rule(`${file}.norm.weight`, own('norm')),
    rule(`${file}.out_proj.weight`, own('o')),
  ]
}
