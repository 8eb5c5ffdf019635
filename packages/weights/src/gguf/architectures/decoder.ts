import { AttuneError } from '@attune/tensor'
import type { Config, Field } from '../architecture.ts'
import type { Metadata } from '../metadata.ts'
import type { Gguf } from '../read.ts'

/** Names that the Llama family shares. */
export const DECODER_NAMES = {
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
} as const

export interface Sizes {
  readonly hidden: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly layers: number
  readonly vocab: number | undefined
  readonly positions: number
  readonly mlp: number
  /** `bos_token_id` and the like, as config.json has them. */
  readonly tokens: Readonly<Record<string, number | null>>
}

/** The sizes every architecture has under its name. */
export function sizesOf(meta: Metadata, arch: string, tensors: Gguf['tensors']): Sizes {
  const size = (key: string, fallback?: number) => meta.size(`${arch}.${key}`, fallback)
  const hidden = size('embedding_length')
  const heads = size('attention.head_count')
  const headDim = size('attention.key_length', hidden / heads)
  same(meta, `${arch}.attention.value_length`, headDim, `keys are ${headDim} wide`)
  for (const key of ['expert_count', 'expert_used_count']) same(meta, `${arch}.${key}`, 0, 'mixtures of experts in GGUF are not read')
  const [bos, eos, pad] = ['bos', 'eos', 'padding'].map(t => meta.number(`tokenizer.ggml.${t}_token_id`))
  return {
    hidden,
    heads,
    kvHeads: size('attention.head_count_kv', heads),
    headDim,
    layers: size('block_count'),
    vocab: meta.number(`${arch}.vocab_size`) ?? tensors.get('token_embd.weight')?.shape[0],
    positions: size('context_length'),
    mlp: size('feed_forward_length'),
    tokens: { bos_token_id: bos ?? null, eos_token_id: eos ?? null, ...(pad === undefined ? {} : { pad_token_id: pad }) },
  }
}

/** The keys of config.json that the Llama family shares. */
export const familyConfig = (s: Sizes, tensors: Gguf['tensors']): Record<string, unknown> => ({
  ...s.tokens,
  head_dim: s.headDim,
  hidden_size: s.hidden,
  intermediate_size: s.mlp,
  max_position_embeddings: s.positions,
  num_attention_heads: s.heads,
  num_hidden_layers: s.layers,
  num_key_value_heads: s.kvHeads,
  tie_word_embeddings: !tensors.has('output.weight'),
  vocab_size: s.vocab,
})

/** Checks that whole heads turn, where the file says how much of them does. */
export function wholeHeads(meta: Metadata, arch: string, { headDim }: Sizes): object {
  same(meta, `${arch}.rope.dimension_count`, headDim, `heads are ${headDim} wide`)
  return {}
}

/** Refuses a value other than the one that is supported. */
export function same(meta: Metadata, key: string, want: number, why: string): void {
  const found = meta.uniform(key)
  if (found !== undefined && found !== want)
    throw new AttuneError('ERR_UNSUPPORTED', `${meta.file}: ${key} is ${found}: ${why}`, { file: meta.file, key, value: found, want })
}

export function epsilon(meta: Metadata, key: string): number {
  return shortest(meta.require(meta.number(key), key))
}
export const optional = (meta: Metadata, key: string): number | undefined => {
  const x = meta.number(key)
  return x === undefined ? undefined : shortest(x)
}

/** The shortest decimal that is the same f32: 1e-5, not 9.999999747378752e-6. */
export function shortest(x: number): number {
  for (let digits = 1; digits < 10; digits++) {
    const short = Number(x.toPrecision(digits))
    if (Math.fround(short) === x) return short
  }
  return x
}

/** The other way: the sizes under `arch` from the keys of config.json. */
export function sizeFields(arch: string, config: Config): Field[] {
  const hidden = count(config, 'hidden_size')
  const heads = count(config, 'num_attention_heads')
  return [
    [`${arch}.block_count`, 'u32', count(config, 'num_hidden_layers')],
    [`${arch}.context_length`, 'u32', count(config, 'max_position_embeddings')],
    [`${arch}.embedding_length`, 'u32', hidden],
    [`${arch}.feed_forward_length`, 'u32', count(config, 'intermediate_size')],
    [`${arch}.attention.head_count`, 'u32', heads],
    [`${arch}.attention.head_count_kv`, 'u32', (config.num_key_value_heads as number | null | undefined) ?? heads],
    [`${arch}.attention.key_length`, 'u32', headDim(config)],
    [`${arch}.attention.value_length`, 'u32', headDim(config)],
    [`${arch}.vocab_size`, 'u32', count(config, 'vocab_size')],
  ]
}

/** Width of a head. Errors: `ERR_FORMAT`. */
export const headDim = (config: Config): number =>
  (config.head_dim as number | null | undefined) ?? count(config, 'hidden_size') / count(config, 'num_attention_heads')

/** A whole number of config.json. Errors: `ERR_FORMAT`. */
export function count(config: Config, key: string): number {
  const x = config[key]
  if (!Number.isSafeInteger(x) || (x as number) < 1)
    throw new AttuneError('ERR_FORMAT', `config.json: '${key}' must be a positive integer, got ${JSON.stringify(x)}`, { key, value: x })
  return x as number
}
export function real(config: Config, key: string, otherwise?: number): number {
  const x = config[key] ?? otherwise
  if (typeof x !== 'number')
    throw new AttuneError('ERR_FORMAT', `config.json: '${key}' must be a number, got ${JSON.stringify(x)}`, { key, value: x })
  return x
}
