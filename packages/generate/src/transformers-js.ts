import { AttuneError } from '@attune/tensor'
import { namedTokens, type Tokenizer } from './tokenizer.ts'
import { textStream } from './tokenizer-stream.ts'

/**
 * What is called of a tokenizer of `@huggingface/transformers` (transformers.js 3 and 4). Nothing of that package is imported:
 * whatever has these members is taken for one.
 */
export interface TransformersTokenizer {
  encode(text: string, options?: { add_special_tokens?: boolean }): number[]
  decode(ids: number[], options?: { skip_special_tokens?: boolean; clean_up_tokenization_spaces?: boolean }): string
  apply_chat_template(messages: any, options?: any): unknown
  /** Version 4. */
  get_vocab?(): Map<string, number>
  /** Version 3. */
  readonly model?: { readonly tokens_to_ids: Map<string, number> }
}

/** What is accepted wherever a tokenizer is: ours, anything that does what it says, or one of transformers.js. */
export type TokenizerLike = Tokenizer | TransformersTokenizer

/** A tokenizer as it is used here, from any that is accepted. Errors: `ERR_ARGUMENT` for anything else. */
export function tokenizerOf(given: TokenizerLike): Tokenizer {
  if ('stream' in given) return given
  if (isTransformersTokenizer(given)) return adapted(given)
  throw new AttuneError(
    'ERR_ARGUMENT',
    'this is no tokenizer: give one of loadTokenizer, of AutoTokenizer.from_pretrained (transformers.js), or an object with the members of Tokenizer',
    { members: Object.keys(given ?? {}) },
  )
}

/** Their tokenizers are functions with methods, so only the methods are asked for. */
export function isTransformersTokenizer(given: unknown): given is TransformersTokenizer {
  const it = given as Partial<TransformersTokenizer> | null | undefined
  const methods = it && [it.encode, it.decode, it.apply_chat_template].every(m => typeof m === 'function')
  return Boolean(methods && (typeof it.get_vocab === 'function' || it.model?.tokens_to_ids instanceof Map))
}

function adapted(inner: TransformersTokenizer): Tokenizer {
  const ids = inner.get_vocab?.() ?? inner.model!.tokens_to_ids
  const known = new Set(ids.values())
  const config = (inner as { config?: Readonly<Record<string, unknown>> }).config ?? {}
  const clean_up_tokenization_spaces = config.clean_up_tokenization_spaces === true
  const decode: Tokenizer['decode'] = (given, { special = false } = {}) => {
    const own = Array.from(given).filter(id => known.has(id))
    return own.length === 0 ? '' : inner.decode(own, { skip_special_tokens: !special, clean_up_tokenization_spaces })
  }
  return {
    encode: (text, { special = true } = {}) => inner.encode(text, { add_special_tokens: special }).filter(id => id !== undefined),
    decode,
    stream: ({ special, whole = 'characters' } = {}) => textStream(own => decode(own, { special }), whole),
    idOf: token => ids.get(token),
    named: namedTokens(config),
    vocabSize: 1 + [...known].reduce((a, b) => Math.max(a, b), -1),
    chatTemplate: templateOf((inner as { chat_template?: unknown }).chat_template),
  }
}

/** One template, or the one called `default` of several. */
function templateOf(given: unknown): string | undefined {
  const one = typeof given === 'string' ? given : (given as { default?: unknown } | null | undefined)?.default
  return typeof one === 'string' ? one : undefined
}
