import { AttuneError } from '@attune/tensor'
import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers'
import { repaired } from './tokenizer-repair.ts'
import { type TextStream, textStream } from './tokenizer-stream.ts'

/** Text ↔ token ids. Anything that does this is accepted wherever ours is. */
export interface Tokenizer {
  /** Ids of a text; `special` (default true) also puts the model's own begin and end tokens around it, where it has them. */
  encode(text: string, options?: { special?: boolean }): number[]
  /** Text of ids; `special` (default false) keeps special tokens. Ids outside the vocabulary have no text. */
  decode(ids: ArrayLike<number>, options?: { special?: boolean }): string
  /** Turns ids into text one at a time. */
  stream(options?: { special?: boolean; whole?: 'characters' | 'words' }): TextStream
  /** The id of a token as it stands in the vocabulary, special tokens included. */
  idOf(token: string): number | undefined
  /** Contents of the named special tokens: `bos_token`, `eos_token`, `pad_token` … */
  readonly named: Readonly<Record<string, string>>
  readonly vocabSize: number
  /** The chat template (Jinja) it brings, where it brings one; it goes before the checkpoint's. */
  readonly chatTemplate?: string
}

/** Tokenizers of formats that are not read. */
const SLOW_FORMATS = ['tokenizer.model', 'spiece.model', 'sentencepiece.bpe.model', 'tekken.json', 'vocab.json', 'vocab.txt']

/** Files as they lie beside a checkpoint: tokenizer.json and tokenizer_config.json. */
export interface TokenizerFiles {
  readonly name: string
  readonly tokenizerJson?: Readonly<Record<string, unknown>>
  readonly tokenizerConfig?: Readonly<Record<string, unknown>>
  /** What else lies there, to say what was found instead. */
  readonly files?: readonly { readonly name: string }[]
}

/** A tokenizer from a checkpoint's files. Errors: `ERR_UNSUPPORTED` where there is no tokenizer.json or it holds something not known. */
export function loadTokenizer({ name, tokenizerJson, tokenizerConfig = {}, files = [] }: TokenizerFiles): Tokenizer {
  if (!tokenizerJson) {
    const other = files.find(f => SLOW_FORMATS.includes(f.name))?.name
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${name} has no tokenizer.json${other ? `, only ${other}` : ''}; save its tokenizer in the fast format first (AutoTokenizer.from_pretrained(…).save_pretrained(…) in transformers)`,
      { model: name, file: 'tokenizer.json', found: other },
    )
  }
  const inner = build(name, tokenizerJson, tokenizerConfig)
  const clean_up_tokenization_spaces = tokenizerConfig.clean_up_tokenization_spaces === true
  const decode: Tokenizer['decode'] = (ids, { special = false } = {}) => {
    const known = Array.from(ids).filter(id => inner.id_to_token(id) !== undefined)
    return known.length === 0 ? '' : inner.decode(known, { skip_special_tokens: !special, clean_up_tokenization_spaces })
  }
  return {
    encode(text, { special = true } = {}) {
      const { ids } = inner.encode(text, { add_special_tokens: special })
      return ids.filter(id => id !== undefined) // a byte the vocabulary lacks has no id, and none in the Rust library
    },
    decode,
    stream: ({ special, whole = 'characters' } = {}) => textStream(ids => decode(ids, { special }), whole),
    idOf: token => inner.token_to_id(token),
    named: namedTokens(tokenizerConfig),
    vocabSize: inner.model!.vocab.length,
  }
}

function build(name: string, json: Readonly<Record<string, unknown>>, config: Readonly<Record<string, unknown>>): HubTokenizer {
  const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] }
  try {
    return new HubTokenizer(repaired({ ...parts, ...json }), config)
  } catch (cause) {
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${name}: tokenizer.json cannot be used: ${(cause as Error).message}`,
      { model: name, file: 'tokenizer.json' },
      cause,
    )
  }
}

/** `bos_token` and its likes stand as text or as an added token's object. */
export function namedTokens(config: Readonly<Record<string, unknown>>): Record<string, string> {
  const named: Record<string, string> = {}
  for (const [key, value] of Object.entries(config)) {
    if (!/^(bos|eos|unk|sep|pad|cls|mask)_token$/.test(key)) continue
    const content = typeof value === 'string' ? value : (value as { content?: unknown } | null)?.content
    if (typeof content === 'string') named[key] = content
  }
  return named
}
