import { AttuneError } from '@attune/tensor'
import type { GgufArchitecture } from './architecture.ts'
import type { Metadata } from './metadata.ts'
import type { Gguf } from './read.ts'
import { llama3Scaling } from './rope-factors.ts'

const ROPE_DIVISORS = 'rope_freqs.weight'

/** Llama and its likes. https://github.com/ggml-org/llama.cpp/blob/master/conversion */
export const llama: GgufArchitecture = {
  name: 'llama',
  config,
  harmless: {
    'llama.rope.dimension_count': 'checked against the head width',
    'llama.attention.value_length': 'checked against the key width',
  },
  names: {
    token_embd: 'model.embed_tokens',
    output_norm: 'model.norm',
    output: 'lm_head',
    'blk.{i}.attn_norm': 'model.layers.{i}.input_layernorm',
    'blk.{i}.attn_q': 'model.layers.{i}.self_attn.q_proj',
    'blk.{i}.attn_k': 'model.layers.{i}.self_attn.k_proj',
    'blk.{i}.attn_v': 'model.layers.{i}.self_attn.v_proj',
    'blk.{i}.attn_output': 'model.layers.{i}.self_attn.o_proj',
    'blk.{i}.ffn_norm': 'model.layers.{i}.post_attention_layernorm',
    'blk.{i}.ffn_gate': 'model.layers.{i}.mlp.gate_proj',
    'blk.{i}.ffn_up': 'model.layers.{i}.mlp.up_proj',
    'blk.{i}.ffn_down': 'model.layers.{i}.mlp.down_proj',
  },
  folded: [ROPE_DIVISORS],
  interleaved: (name, config) => (/^blk\.\d+\.attn_[qk]\./.test(name) ? (config.head_dim as number) : undefined),
}

function config(meta: Metadata, tensors: Gguf['tensors'], folded: ReadonlyMap<string, Float32Array>): Record<string, unknown> {
  const need = (key: string) => meta.size(`llama.${key}`)
  const hidden = need('embedding_length')
  const heads = need('attention.head_count')
  const headDim = meta.size('llama.attention.key_length', hidden / heads)
  for (const key of ['llama.rope.dimension_count', 'llama.attention.value_length']) {
    const width = meta.number(key) ?? headDim
    if (width !== headDim)
      throw new AttuneError('ERR_UNSUPPORTED', `${meta.file}: ${key} is ${width}, but heads are ${headDim} wide`, {
        file: meta.file,
        key,
        width,
        headDim,
      })
  }
  if (meta.number('llama.expert_count'))
    throw new AttuneError('ERR_UNSUPPORTED', `${meta.file}: llama.expert_count: mixtures of experts in GGUF are not read`, {
      file: meta.file,
      key: 'llama.expert_count',
    })
  const theta = shortest(meta.number('llama.rope.freq_base') ?? 10000)
  const tokens = meta.number('llama.vocab_size') ?? tensors.get('token_embd.weight')?.shape[0]
  const [bos, eos, pad] = ['bos', 'eos', 'padding'].map(t => meta.number(`tokenizer.ggml.${t}_token_id`))
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    attention_bias: tensors.has('blk.0.attn_q.bias'),
    bos_token_id: bos ?? null,
    eos_token_id: eos ?? null,
    ...(pad === undefined ? {} : { pad_token_id: pad }),
    head_dim: headDim,
    hidden_act: 'silu',
    hidden_size: hidden,
    intermediate_size: need('feed_forward_length'),
    max_position_embeddings: need('context_length'),
    mlp_bias: tensors.has('blk.0.ffn_up.bias'),
    num_attention_heads: heads,
    num_hidden_layers: need('block_count'),
    num_key_value_heads: meta.size('llama.attention.head_count_kv', heads),
    rms_norm_eps: shortest(meta.require(meta.number('llama.attention.layer_norm_rms_epsilon'), 'llama.attention.layer_norm_rms_epsilon')),
    rope_scaling: ropeScaling(meta, theta, folded.get(ROPE_DIVISORS)),
    rope_theta: theta,
    tie_word_embeddings: !tensors.has('output.weight'),
    vocab_size: tokens,
  }
}

function ropeScaling(meta: Metadata, theta: number, divisors: Float32Array | undefined): Record<string, unknown> | null {
  if (divisors) {
    const scaling = llama3Scaling(divisors, theta)
    if (scaling) return scaling
    throw new AttuneError('ERR_UNSUPPORTED', `${meta.file}: tensor ${ROPE_DIVISORS}: these divisors are not Llama 3's rope scaling`, {
      file: meta.file,
      tensor: ROPE_DIVISORS,
    })
  }
  const type = meta.string('llama.rope.scaling.type') ?? (meta.get('llama.rope.scale_linear') === undefined ? 'none' : 'linear')
  const factor = meta.number('llama.rope.scaling.factor') ?? meta.number('llama.rope.scale_linear')
  const original = meta.number('llama.rope.scaling.original_context_length')
  if (type === 'none' || factor === undefined) return null
  if (type === 'linear') return { rope_type: 'linear', factor }
  if (type === 'yarn')
    return { rope_type: 'yarn', factor, ...(original === undefined ? {} : { original_max_position_embeddings: original }) }
  throw new AttuneError('ERR_UNSUPPORTED', `${meta.file}: llama.rope.scaling.type ${type} is not read`, {
    file: meta.file,
    key: 'llama.rope.scaling.type',
    type,
  })
}

/** The shortest decimal that is the same f32: 1e-5, not 9.999999747378752e-6. */
function shortest(x: number): number {
  for (let digits = 1; digits < 10; digits++) {
    const short = Number(x.toPrecision(digits))
    if (Math.fround(short) === x) return short
  }
  return x
}
