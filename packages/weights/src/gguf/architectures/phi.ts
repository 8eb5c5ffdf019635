import { AttuneError } from '@attune/tensor'
import type { Config, Field, GgufArchitecture } from '../architecture.ts'
import { DECODER_NAMES, epsilon, familyConfig, headDim, optional, real, sizeFields, sizesOf } from './decoder.ts'
import { ropeFields, ropeOf, ropeSettings } from './rope.ts'

const { 'blk.{i}.ffn_norm': _ffnNorm, 'blk.{i}.ffn_gate': _ffnGate, ...PHI_NAMES } = DECODER_NAMES

/** Rows q, k and v of a layer, where a file holds them in one tensor. */
const qkvRows = (config: Config): number[] => {
  const kv = (config.num_key_value_heads as number) * headDim(config)
  return [(config.num_attention_heads as number) * headDim(config), kv, kv]
}
/** Rounded, as a share of a head that turns is a small fraction. */
const share = (part: number, whole: number): number => Number((part / whole).toPrecision(7))
const rotary = (config: Config, otherwise = 1): number =>
  (ropeSettings(config).scaling.partial_rotary_factor ?? config.partial_rotary_factor ?? otherwise) as number

/** Phi 1, 1.5 and 2. https://github.com/ggml-org/llama.cpp/blob/master/conversion/phi.py */
export const phi2: GgufArchitecture = {
  name: 'phi2',
  types: ['phi'],
  config(meta, tensors, folded) {
    const sizes = sizesOf(meta, 'phi2', tensors)
    const { head_dim: _, ...shared } = familyConfig(sizes, tensors)
    return {
      architectures: ['PhiForCausalLM'],
      model_type: 'phi',
      ...shared,
      hidden_act: 'gelu_new',
      layer_norm_eps: epsilon(meta, 'phi2.attention.layer_norm_epsilon'),
      partial_rotary_factor: share(meta.size('phi2.rope.dimension_count', sizes.headDim), sizes.headDim),
      qk_layernorm: false,
      ...ropeOf(meta, 'phi2', folded),
    }
  },
  harmless: {},
  names: {
    ...PHI_NAMES,
    output_norm: 'model.final_layernorm',
    'blk.{i}.attn_qkv': ['q', 'k', 'v'].map(x => `model.layers.{i}.self_attn.${x}_proj`),
    'blk.{i}.attn_output': 'model.layers.{i}.self_attn.dense',
    'blk.{i}.ffn_up': 'model.layers.{i}.mlp.fc1',
    'blk.{i}.ffn_down': 'model.layers.{i}.mlp.fc2',
  },
  folded: [],
  change: (stem, _, config) => (/attn_qkv$/.test(stem) ? { kind: 'joined', rows: qkvRows(config) } : undefined),
  metadata: config => [
    ...sizeFields('phi2', config),
    ['phi2.attention.layer_norm_epsilon', 'f32', real(config, 'layer_norm_eps', 1e-5)],
    ['phi2.rope.dimension_count', 'u32', Math.floor(headDim(config) * rotary(config, 0.5))],
    ...ropeFields('phi2', withoutShare(config)),
  ],
}

const [LONG, SHORT] = ['rope_factors_long.weight', 'rope_factors_short.weight']

/** Phi 3 and 4: queries, keys and values in one tensor, gate and up in another; LongRoPE's factors are tensors. */
export const phi3: GgufArchitecture = {
  name: 'phi3',
  types: ['phi3'],
  config(meta, tensors, folded) {
    const sizes = sizesOf(meta, 'phi3', tensors)
    const { head_dim: _, ...shared } = familyConfig(sizes, tensors)
    const original = meta.number('phi3.rope.scaling.original_context_length') ?? sizes.positions
    const window = meta.number('phi3.attention.sliding_window')
    const [long, short] = [folded.get(LONG), folded.get(SHORT)]
    if (!long !== !short)
      throw new AttuneError('ERR_FORMAT', `${meta.file}: ${long ? LONG : SHORT} comes without ${long ? SHORT : LONG}`, {
        file: meta.file,
        field: long ? SHORT : LONG,
        offset: 0,
      })
    return {
      architectures: ['Phi3ForCausalLM'],
      model_type: 'phi3',
      ...shared,
      attention_bias: false,
      hidden_act: 'silu',
      original_max_position_embeddings: original,
      partial_rotary_factor: share(meta.size('phi3.rope.dimension_count', sizes.headDim), sizes.headDim),
      rms_norm_eps: epsilon(meta, 'phi3.attention.layer_norm_rms_epsilon'),
      rope_theta: optional(meta, 'phi3.rope.freq_base') ?? 10000,
      rope_scaling: long && short ? { type: 'longrope', long_factor: decimals(long), short_factor: decimals(short) } : null,
      sliding_window: window || null,
    }
  },
  harmless: {
    'phi3.rope.scaling.attn_factor': 'follows from the two context lengths',
    'phi3.rope.scaling.type': 'the tensors of factors say it',
  },
  names: {
    ...PHI_NAMES,
    'blk.{i}.attn_qkv': 'model.layers.{i}.self_attn.qkv_proj',
    'blk.{i}.ffn_norm': 'model.layers.{i}.post_attention_layernorm',
    'blk.{i}.ffn_up': 'model.layers.{i}.mlp.gate_up_proj',
  },
  folded: [LONG, SHORT],
  metadata(config) {
    const { theta = 10000, scaling } = ropeSettings(config)
    const original = (config.original_max_position_embeddings ??
      scaling.original_max_position_embeddings ??
      config.max_position_embeddings) as number
    const scale = (config.max_position_embeddings as number) / original
    return [
      ...sizeFields('phi3', config),
      ['phi3.attention.layer_norm_rms_epsilon', 'f32', real(config, 'rms_norm_eps', 1e-5)],
      ['phi3.rope.dimension_count', 'u32', Math.floor(headDim(config) * rotary(config))],
      ['phi3.rope.freq_base', 'f32', theta],
      ['phi3.rope.scaling.original_context_length', 'u32', original],
      ['phi3.attention.sliding_window', 'u32', (config.sliding_window as number | null | undefined) ?? 0],
      ...(scaling.long_factor
        ? ([['phi3.rope.scaling.attn_factor', 'f32', scale > 1 ? Math.sqrt(1 + Math.log(scale) / Math.log(original)) : 1]] as Field[])
        : []),
    ]
  },
  unfolded(config) {
    const { long_factor: long, short_factor: short } = ropeSettings(config).scaling
    if (!long) return []
    return [
      { name: LONG, values: Float32Array.from(long as number[]) },
      { name: SHORT, values: Float32Array.from(short as number[]) },
    ]
  },
}

const decimals = (f: Float32Array): number[] => Array.from(f, x => Number(x.toPrecision(9)))

function withoutShare(config: Config): ReturnType<typeof ropeSettings> {
  const { theta, scaling } = ropeSettings(config)
  const { partial_rotary_factor: _, ...rest } = scaling
  return { theta, scaling: rest }
}
