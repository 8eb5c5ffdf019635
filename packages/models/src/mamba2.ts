import { ignore, layout, reshape, rule, split } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { same } from './file-names.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** Mamba-2 language models: blocks of a state space mixer alone, without positions. https://arxiv.org/abs/2405.21060 */
export const mamba2: ModelDefinition = {
  type: 'mamba2',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('time_step_rank', 'time_step_min', 'time_step_max', 'time_step_floor', 'rescale_prenorm_residual') // fresh weights
    c.ignore('residual_in_fp32', 'chunk_size') // how it is computed: always f32 here, in chunks of our own
    c.ignore('rms_norm', 'norm_before_gate') // no version of the model looks at them
    const dim = c.count('hidden_size', 4096)
    const heads = c.count('num_heads', 128)
    const headDim = c.count('head_dim', 64)
    const groups = c.count('n_groups', 8)
    const expand = c.number('expand', 2, 0)
    if (Math.floor(expand * dim) !== heads * headDim)
      throw c.wrong('expand', `num_heads · head_dim / hidden_size (${(heads * headDim) / dim})`, expand)
    if (heads % groups !== 0) throw c.wrong('n_groups', `a divisor of num_heads (${heads})`, groups)
    const eps = c.number('layer_norm_epsilon', 1e-5, 0)
    const [dtMin, dtMax] = c.range('time_step_limit', [0, Number.POSITIVE_INFINITY])
    const layer: LayerSpec = {
      attention: {
        variant: 'mamba2',
        config: {
          dim,
          heads,
          headDim,
          groups,
          stateDim: c.count('state_size', 128),
          taps: c.count('conv_kernel', 4),
          convBias: c.flag('use_conv_bias', true),
          bias: c.flag('use_bias', false),
          activation: c.activation('hidden_act', 'silu'),
          ...(dtMin > 0 ? { dtMin } : {}),
          ...(dtMax < Number.POSITIVE_INFINITY ? { dtMax } : {}),
          eps,
        },
        position: { kind: 'none' },
        mask: { kind: 'causal' },
      },
      mlp: { kind: 'none' },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'mamba2',
      vocab: c.count('vocab_size', 32768),
      dim,
      norm: { kind: 'rms', eps },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions: 2 ** 31 - 1, // none turns anything
      layers: new Array(c.count('num_hidden_layers', 64)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout({ layers: [{ attention }] }) {
    const { heads, headDim, groups, stateDim, taps } = attention.config as Readonly<Record<string, number>>
    const [inner, shared] = [heads * headDim, groups * stateDim]
    const [file, param] = ['backbone.layers.{i}.mixer', 'layers.{i}.attention']
    const convolved = ['xConv', 'bConv', 'cConv'].map(x => `${param}.${x}`)
    return layout([
      same('backbone.embeddings', 'embed'),
      same('backbone.embedding', 'embed'), // its name before transformers 4.43
      same('backbone.norm_f', 'norm'),
      same('lm_head', 'head'),
      ignore('lm_head.weight', 'the head is the embedding table where the config ties them'),
      same('backbone.layers.{i}.norm', 'layers.{i}.attentionNorm'),
      rule(
        `${file}.in_proj.{weight|bias}`,
        ['gate', 'x', 'b', 'c', 'dt'].map(x => `${param}.${x}.{weight|bias}`),
        split(0, [inner, inner, shared, shared, heads]),
      ),
      rule(
        `${file}.conv1d.weight`,
        convolved.map(x => `${x}.taps.weight`),
        reshape([inner + 2 * shared, 1, taps], [inner + 2 * shared, taps]),
        split(0, [inner, shared, shared]),
      ),
      rule(
        `${file}.conv1d.bias`,
        convolved.map(x => `${x}.bias.weight`),
        split(0, [inner, shared, shared]),
      ),
      rule(`${file}.A_log`, `${param}.aLog.weight`),
      rule(`${file}.dt_bias`, `${param}.dtBias.weight`),
      rule(`${file}.D`, `${param}.d.weight`),
      rule(`${file}.norm.weight`, `${param}.norm.weight`),
      same(`${file}.out_proj`, `${param}.o`),
    ])
  },
}
