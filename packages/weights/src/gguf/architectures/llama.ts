import { AttuneError } from '@attune/tensor'
import type { Config, GgufArchitecture } from '../architecture.ts'
import { DECODER_NAMES, epsilon, familyConfig, headDim, real, same, sizeFields, sizesOf } from './decoder.ts'
import { llama3Tensor, ROPE_DIVISORS, ropeFields, ropeOf, ropeSettings } from './rope.ts'

/** Llama and its likes. https://github.com/ggml-org/llama.cpp/blob/master/conversion */
export const llama: GgufArchitecture = {
  name: 'llama',
  types: ['llama', 'mistral'],
  config(meta, tensors, folded) {
    const sizes = sizesOf(meta, 'llama', tensors)
    same(meta, 'llama.rope.dimension_count', sizes.headDim, `heads are ${sizes.headDim} wide`)
    return {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      ...familyConfig(sizes, tensors),
      attention_bias: tensors.has('blk.0.attn_q.bias'),
      hidden_act: 'silu',
      mlp_bias: tensors.has('blk.0.ffn_up.bias'),
      rms_norm_eps: epsilon(meta, 'llama.attention.layer_norm_rms_epsilon'),
      ...ropeOf(meta, 'llama', folded),
    }
  },
  harmless: {},
  names: DECODER_NAMES,
  folded: [ROPE_DIVISORS],
  change: (stem, _, config) => (/attn_[qk]$/.test(stem) ? { kind: 'interleaved', head: headDim(config) } : undefined),
  metadata: config => [
    ...unwindowed(config),
    ...sizeFields('llama', config),
    ['llama.rope.dimension_count', 'u32', headDim(config)],
    ['llama.attention.layer_norm_rms_epsilon', 'f32', real(config, 'rms_norm_eps', 1e-6)],
    ...ropeFields('llama', ropeSettings(config)),
  ],
  unfolded: llama3Tensor,
}

/** llama.cpp reads no window from a file of this architecture. */
function unwindowed({ sliding_window: window }: Config): [] {
  if (typeof window !== 'number') return []
  throw new AttuneError(
    'ERR_UNSUPPORTED',
    `config.json: 'sliding_window' ${window} cannot be written as GGUF of llama, where every layer sees everything`,
    {
      key: 'sliding_window',
      value: window,
    },
  )
}
