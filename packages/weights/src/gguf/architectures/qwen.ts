import type { GgufArchitecture } from '../architecture.ts'
import { DECODER_NAMES, epsilon, familyConfig, real, sizeFields, sizesOf, wholeHeads } from './decoder.ts'
import { ropeFields, ropeOf, ropeSettings } from './rope.ts'

type Tensors = Parameters<GgufArchitecture['config']>[1]

/** Qwen's rows are not reordered. https://github.com/ggml-org/llama.cpp/blob/master/conversion/qwen.py */
const qwen = (
  name: string,
  architecture: string,
  names: GgufArchitecture['names'] = DECODER_NAMES,
  /** Further keys of the config, given the width of a head. */
  more: (headDim: unknown, tensors: Tensors) => Readonly<Record<string, unknown>> = () => ({}),
): GgufArchitecture => ({
  name,
  types: [name],
  config(meta, tensors, folded) {
    const sizes = sizesOf(meta, name, tensors)
    const { head_dim, ...shared } = familyConfig(sizes, tensors)
    return {
      ...wholeHeads(meta, name, sizes),
      architectures: [architecture],
      model_type: name,
      ...shared,
      ...more(head_dim, tensors),
      hidden_act: 'silu',
      rms_norm_eps: epsilon(meta, `${name}.attention.layer_norm_rms_epsilon`),
      ...ropeOf(meta, name, folded),
      use_sliding_window: false,
    }
  },
  harmless: { [`${name}.pooling_type`]: 'how embeddings are pooled, not what the model computes' },
  names,
  folded: [],
  metadata: config => [
    ...sizeFields(name, config),
    [`${name}.attention.layer_norm_rms_epsilon`, 'f32', real(config, 'rms_norm_eps', 1e-6)],
    ...ropeFields(name, ropeSettings(config)),
  ],
})

export const qwen2 = qwen('qwen2', 'Qwen2ForCausalLM')
export const qwen3 = qwen(
  'qwen3',
  'Qwen3ForCausalLM',
  {
    ...DECODER_NAMES,
    'blk.{i}.attn_q_norm': 'model.layers.{i}.self_attn.q_norm',
    'blk.{i}.attn_k_norm': 'model.layers.{i}.self_attn.k_norm',
  },
  (head_dim, tensors) => ({ head_dim, attention_bias: tensors.has('blk.0.attn_q.bias') }),
)
