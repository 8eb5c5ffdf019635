import { AttuneError } from '@attune/tensor'
import type { Change, Config, Field, GgufArchitecture } from '../architecture.ts'
import type { Metadata } from '../metadata.ts'
import { count, DECODER_NAMES, epsilon, familyConfig, optional, real, type Sizes, sizeFields, sizesOf, wholeHeads } from './decoder.ts'
import { ropeFields, ropeOf, ropeSettings } from './rope.ts'

/* https://github.com/ggml-org/llama.cpp/blob/master/conversion/gemma.py: one is added to norms, which Gemma's files hold as what is added to one. */
const shifted = (stem: string): Change | undefined => (/_norm$/.test(stem) ? { kind: 'shifted', by: 1 } : undefined)

const NAMES = {
  ...DECODER_NAMES,
  'blk.{i}.post_attention_norm': 'model.layers.{i}.post_attention_layernorm',
  'blk.{i}.ffn_norm': 'model.layers.{i}.pre_feedforward_layernorm',
  'blk.{i}.post_ffw_norm': 'model.layers.{i}.post_feedforward_layernorm',
}
const shared = (sizes: Sizes, meta: Metadata, arch: string, tensors: Parameters<GgufArchitecture['config']>[1]) => ({
  ...wholeHeads(meta, arch, sizes),
  ...familyConfig(sizes, tensors),
  attention_bias: false,
  hidden_activation: 'gelu_pytorch_tanh',
  rms_norm_eps: epsilon(meta, `${arch}.attention.layer_norm_rms_epsilon`),
})
const sharedFields = (arch: string, config: Config): Field[] => [
  ...sizeFields(arch, config),
  [`${arch}.attention.layer_norm_rms_epsilon`, 'f32', real(config, 'rms_norm_eps', 1e-6)],
]
/** llama.cpp knows the scale of scores by the number of layers: the largest models scale by hidden size per head, all others by head width. */
const preAttention = (s: Sizes, largest: number): number => (s.layers === largest ? s.hidden / s.heads : s.headDim)

/** The first of every `pattern` layers has a window, but the last of them. */
const layerTypes = (layers: number, pattern: number): string[] =>
  Array.from({ length: layers }, (_, i) => ((i + 1) % pattern === 0 ? 'full_attention' : 'sliding_attention'))

export const gemma: GgufArchitecture = {
  name: 'gemma',
  types: ['gemma'],
  config: (meta, tensors, folded) => ({
    architectures: ['GemmaForCausalLM'],
    model_type: 'gemma',
    ...shared(sizesOf(meta, 'gemma', tensors), meta, 'gemma', tensors),
    ...ropeOf(meta, 'gemma', folded),
  }),
  harmless: {},
  names: DECODER_NAMES,
  folded: [],
  change: shifted,
  metadata: config => [...sharedFields('gemma', config), ...ropeFields('gemma', ropeSettings(config))],
}

export const gemma2: GgufArchitecture = {
  name: 'gemma2',
  types: ['gemma2'],
  config(meta, tensors, folded) {
    const sizes = sizesOf(meta, 'gemma2', tensors)
    return {
      architectures: ['Gemma2ForCausalLM'],
      model_type: 'gemma2',
      ...shared(sizes, meta, 'gemma2', tensors),
      ...ropeOf(meta, 'gemma2', folded),
      attn_logit_softcapping: optional(meta, 'gemma2.attn_logit_softcapping') ?? 50,
      final_logit_softcapping: optional(meta, 'gemma2.final_logit_softcapping') ?? 30,
      layer_types: layerTypes(sizes.layers, patternOf(meta, 'gemma2') ?? 2),
      query_pre_attn_scalar: preAttention(sizes, 46),
      sliding_window: meta.size('gemma2.attention.sliding_window', 4096),
    }
  },
  harmless: {},
  names: NAMES,
  folded: [],
  change: shifted,
  metadata: config => [
    ...sharedFields('gemma2', config),
    ['gemma2.attn_logit_softcapping', 'f32', real(config, 'attn_logit_softcapping', 50)],
    ['gemma2.final_logit_softcapping', 'f32', real(config, 'final_logit_softcapping', 30)],
    ['gemma2.attention.sliding_window', 'u32', count(config, 'sliding_window')],
    ...ropeFields('gemma2', ropeSettings(config)),
  ],
}

export const gemma3: GgufArchitecture = {
  name: 'gemma3',
  types: ['gemma3_text'],
  config(meta, tensors, folded) {
    const sizes = sizesOf(meta, 'gemma3', tensors)
    const cap = optional(meta, 'gemma3.final_logit_softcapping')
    const pattern = patternOf(meta, 'gemma3') ?? 6
    return {
      architectures: ['Gemma3ForCausalLM'],
      model_type: 'gemma3_text',
      ...shared(sizes, meta, 'gemma3', tensors),
      ...ropeOf(meta, 'gemma3', folded, 1e6),
      rope_local_base_freq: optional(meta, 'gemma3.rope.freq_base_swa') ?? 10000,
      attn_logit_softcapping: null,
      final_logit_softcapping: cap ?? null,
      layer_types: layerTypes(sizes.layers, pattern),
      query_pre_attn_scalar: preAttention(sizes, 62),
      sliding_window: meta.size('gemma3.attention.sliding_window', 4096),
    }
  },
  harmless: {},
  names: {
    ...NAMES,
    'blk.{i}.attn_q_norm': 'model.layers.{i}.self_attn.q_norm',
    'blk.{i}.attn_k_norm': 'model.layers.{i}.self_attn.k_norm',
  },
  folded: [],
  change: shifted,
  metadata: config => [
    ...sharedFields('gemma3', config),
    ...(config.final_logit_softcapping == null
      ? []
      : ([['gemma3.final_logit_softcapping', 'f32', real(config, 'final_logit_softcapping')]] as const)),
    ['gemma3.attention.sliding_window', 'u32', count(config, 'sliding_window')],
    ...ropeFields('gemma3', { theta: 1e6, ...ropeSettings(config) }),
  ],
}

/** Every how many layers one sees everything: a number, or (newer files) a truth per layer. */
function patternOf(meta: Metadata, arch: string): number | undefined {
  const key = `${arch}.attention.sliding_window_pattern`
  const value = meta.get(key)
  if (value === undefined || typeof value === 'number') return value === undefined ? undefined : meta.size(key)
  const list = Array.isArray(value) ? value.map(Boolean) : []
  const pattern = list.indexOf(false) + 1
  if (pattern < 1 || list.some((windowed, i) => windowed === ((i + 1) % pattern === 0)))
    throw new AttuneError('ERR_UNSUPPORTED', `${meta.file}: ${key} is no regular pattern`, { file: meta.file, key })
  return pattern
}
