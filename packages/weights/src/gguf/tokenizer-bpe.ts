import { AttuneError } from '@attune/tensor'
import { show } from '../error.ts'
import type { Metadata } from './metadata.ts'

export interface AddedToken {
  id: number
  content: string
  single_word: boolean
  lstrip: boolean
  rstrip: boolean
  normalized: boolean
  special: boolean
}

export interface Vocabulary {
  readonly tokens: readonly string[]
  readonly added: readonly AddedToken[]
}

const byteLevel = (use_regex: boolean) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex })
const sequence = (...pretokenizers: object[]) => ({ type: 'Sequence', pretokenizers })
const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false })
const digitsThenGpt2 = sequence({ type: 'Digits', individual_digits: true }, byteLevel(true))
const words = (digits: string) =>
  sequence(
    split(
      `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
    ),
    byteLevel(false),
  )

const gpt2 = byteLevel(true)
const llama3 = words('\\p{N}{1,3}')
const qwen2 = words('\\p{N}')
const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
const gpt4o = sequence(
  split(
    `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*${CONTRACTION}|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  ),
  byteLevel(false),
)

/** `tokenizer.ggml.pre` → how text is cut before merging. Of names that cut alike the first is written. https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp */
export const PRE_TOKENIZERS: Readonly<Record<string, object>> = {
  ...Object.fromEntries(['gpt-2', 'phi-2', 'mpt', 'olmo', 'jais', 'trillion', 'granite-docling', 'exaone4'].map(name => [name, gpt2])),
  ...Object.fromEntries(
    ['smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b'].map(name => [name, digitsThenGpt2]),
  ),
  ...Object.fromEntries(['llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'dbrx', 'smaug-bpe'].map(name => [name, llama3])),
  ...Object.fromEntries(['qwen2', 'stablelm2', 'deepseek-r1-qwen', 'megrez'].map(name => [name, qwen2])),
  'gpt-4o': gpt4o,
}

/** Names under which a word that is a token is taken whole, whatever the merges say: Llama 3's way. */
const WHOLE_WORDS = new Set(['llama-bpe', 'llama3', 'llama-v3', 'falcon3'])

/** Byte-level BPE ("gpt2" in GGUF): merges are listed, words are cut as `tokenizer.ggml.pre` says. */
export function byteLevelBpe(meta: Metadata, { tokens }: Vocabulary): Record<string, unknown> {
  const pre = meta.string('tokenizer.ggml.pre') ?? 'gpt-2'
  if (!Object.hasOwn(PRE_TOKENIZERS, pre))
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${meta.file}: tokenizer.ggml.pre ${show(pre)} is not read; attune reads ${Object.keys(PRE_TOKENIZERS).join(', ')}`,
      { file: meta.file, pre },
    )
  const prefix = meta.boolean('tokenizer.ggml.add_space_prefix') ?? false
  return {
    normalizer: prefix ? { type: 'Prepend', prepend: ' ' } : null,
    pre_tokenizer: PRE_TOKENIZERS[pre],
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: WHOLE_WORDS.has(pre),
      vocab: Object.fromEntries(vocabularyIds(meta, tokens)),
      merges: merges(meta),
    },
  }
}

/** Token → id. Errors: `ERR_FORMAT` for a token listed twice. */
export function vocabularyIds(meta: Metadata, tokens: readonly string[]): Map<string, number> {
  const ids = new Map<string, number>()
  tokens.forEach((token, id) => {
    if (ids.has(token))
      throw meta.wrong('tokenizer.ggml.tokens', `token ${show(token)} stands at ${ids.get(token)} and ${id}`, { token, id })
    ids.set(token, id)
  })
  return ids
}

function merges(meta: Metadata): [string, string][] {
  const key = 'tokenizer.ggml.merges'
  return meta.require(meta.strings(key), key).map((merge, i) => {
    const gap = merge.indexOf(' ', 1)
    if (gap < 1 || gap === merge.length - 1) throw meta.wrong(key, `merge ${i} is not two tokens with a space between`, { index: i })
    return [merge.slice(0, gap), merge.slice(gap + 1)]
  })
}
