import type { Config, Field, GgufArchitecture } from '../architecture.ts'
import { DECODER_NAMES, epsilon, familyConfig, headDim, optional, real, sizeFields, sizesOf } from './decoder.ts'
import { llama3Tensor, ROPE_DIVISORS, ropeFields, ropeOf, ropeSettings } from './rope.ts'

/* https://github.com/ggml-org/llama.cpp/blob/master/conversion: smollm3 and granite are llamas with their rows, olmo2 and starcoder2 are not reordered. */
const interleaved: GgufArchitecture['change'] = (stem, _, config) =>
  /attn_[qk]$/.test(stem) ? { kind: 'interleaved', head: headDim(config) } : undefined
const rmsFields = (arch: string, config: Config): Field[] => [
  ...sizeFields(arch, config),
  [`${arch}.rope.dimension_count`, 'u32', headDim(config)],
  [`${arch}.attention.layer_norm_rms_epsilon`, 'f32', real(config, 'rms_norm_eps', 1e-6)],
  ...ropeFields(arch, ropeSettings(config)),
]
const rotated = (arch: string) => ({ [`${arch}.rope.dimension_count`]: 'whole heads turn in this architecture' })

export const smollm3: GgufArchitecture = {
  name: 'smollm3',
  types: ['smollm3'],
  config: (meta, tensors, folded) => ({
    architectures: ['SmolLM3ForCausalLM'],
    model_type: 'smollm3',
    ...familyConfig(sizesOf(meta, 'smollm3', tensors), tensors),
    attention_bias: tensors.has('blk.0.attn_q.bias'),
    hidden_act: 'silu',
    mlp_bias: false,
    no_rope_layer_interval: 4, // as llama.cpp has it
    rms_norm_eps: epsilon(meta, 'smollm3.attention.layer_norm_rms_epsilon'),
    ...ropeOf(meta, 'smollm3', folded),
    use_sliding_window: false,
  }),
  harmless: rotated('smollm3'),
  names: DECODER_NAMES,
  folded: [ROPE_DIVISORS],
  change: interleaved,
  metadata: config => rmsFields('smollm3', config),
  unfolded: llama3Tensor,
}

const MULTIPLIERS = {
  attention_multiplier: 'attention.scale',
  embedding_multiplier: 'embedding_scale',
  residual_multiplier: 'residual_scale',
  logits_scaling: 'logit_scale',
} as const

export const granite: GgufArchitecture = {
  name: 'granite',
  types: ['granite'],
  config(meta, tensors, folded) {
    const sizes = sizesOf(meta, 'granite', tensors)
    const scales = Object.entries(MULTIPLIERS).map(([key, own]) => [key, optional(meta, `granite.${own}`) ?? 1] as const)
    return {
      architectures: ['GraniteForCausalLM'],
      model_type: 'granite',
      ...familyConfig(sizes, tensors),
      ...Object.fromEntries(scales),
      ...(meta.get('granite.attention.scale') === undefined ? { attention_multiplier: sizes.headDim ** -0.5 } : {}),
      attention_bias: tensors.has('blk.0.attn_q.bias'),
      hidden_act: 'silu',
      mlp_bias: tensors.has('blk.0.ffn_up.bias'),
      rms_norm_eps: epsilon(meta, 'granite.attention.layer_norm_rms_epsilon'),
      ...ropeOf(meta, 'granite', folded),
    }
  },
  harmless: rotated('granite'),
  names: DECODER_NAMES,
  folded: [ROPE_DIVISORS],
  change: interleaved,
  metadata: config => [
    ...rmsFields('granite', config),
    ...Object.entries(MULTIPLIERS).map(([key, own]) => [`granite.${own}`, 'f32', real(config, key, 1)] as const),
  ],
  unfolded: llama3Tensor,
}

const { 'blk.{i}.attn_norm': _attnNorm, 'blk.{i}.ffn_norm': _ffnNorm, ...WITHOUT_NORMS } = DECODER_NAMES

export const olmo2: GgufArchitecture = {
  name: 'olmo2',
  types: ['olmo2'],
  config: (meta, tensors, folded) => {
    const { head_dim: _, ...shared } = familyConfig(sizesOf(meta, 'olmo2', tensors), tensors)
    return {
      architectures: ['Olmo2ForCausalLM'],
      model_type: 'olmo2',
      ...shared,
      attention_bias: false,
      hidden_act: 'silu',
      rms_norm_eps: epsilon(meta, 'olmo2.attention.layer_norm_rms_epsilon'),
      ...ropeOf(meta, 'olmo2', folded),
    }
  },
  harmless: rotated('olmo2'),
  names: {
    ...WITHOUT_NORMS,
    'blk.{i}.attn_q_norm': 'model.layers.{i}.self_attn.q_norm',
    'blk.{i}.attn_k_norm': 'model.layers.{i}.self_attn.k_norm',
    'blk.{i}.post_attention_norm': 'model.layers.{i}.post_attention_layernorm',
    'blk.{i}.post_ffw_norm': 'model.layers.{i}.post_feedforward_layernorm',
  },
  folded: [],
  metadata: config => rmsFields('olmo2', config),
}

const { 'blk.{i}.ffn_gate': _ffnGate, ...WITHOUT_GATE } = DECODER_NAMES

export const starcoder2: GgufArchitecture = {
  name: 'starcoder2',
  types: ['starcoder2'],
  config: (meta, tensors, folded) => {
    const { head_dim: _, ...shared } = familyConfig(sizesOf(meta, 'starcoder2', tensors), tensors)
    return {
      architectures: ['Starcoder2ForCausalLM'],
      model_type: 'starcoder2',
      ...shared,
      hidden_act: 'gelu_pytorch_tanh',
      norm_epsilon: epsilon(meta, 'starcoder2.attention.layer_norm_epsilon'),
      sliding_window: null,
      use_bias: tensors.has('blk.0.attn_q.bias'),
      ...ropeOf(meta, 'starcoder2', folded),
    }
  },
  harmless: rotated('starcoder2'),
  names: { ...WITHOUT_GATE, 'blk.{i}.ffn_up': 'model.layers.{i}.mlp.c_fc', 'blk.{i}.ffn_down': 'model.layers.{i}.mlp.c_proj' },
  folded: [],
  metadata: config => [
    ...sizeFields('starcoder2', config),
    ['starcoder2.attention.layer_norm_epsilon', 'f32', real(config, 'norm_epsilon', 1e-5)],
    ...ropeFields('starcoder2', ropeSettings(config)),
  ],
}
