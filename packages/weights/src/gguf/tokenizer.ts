import { AttuneError } from '@attune/tensor'
import { show } from '../error.ts'
import type { Metadata } from './metadata.ts'
import { type AddedToken, byteLevelBpe, type Vocabulary } from './tokenizer-bpe.ts'
import { sentencePieceBpe } from './tokenizer-spm.ts'

export interface GgufTokenizer {
  tokenizerJson?: Record<string, unknown>
  tokenizerConfig?: Record<string, unknown>
  chatTemplate?: string
}

/** `tokenizer.ggml.model` → tokenizer.json's own parts. */
const MODELS: Readonly<Record<string, (meta: Metadata, vocabulary: Vocabulary) => Record<string, unknown>>> = {
  gpt2: byteLevelBpe,
  llama: sentencePieceBpe,
}

/** tokenizer.json and tokenizer_config.json rebuilt from a GGUF's metadata; nothing where it has no tokenizer. Errors: `ERR_FORMAT`, `ERR_UNSUPPORTED`. */
export function ggufTokenizer(meta: Metadata): GgufTokenizer {
  const model = meta.string('tokenizer.ggml.model')
  if (model === undefined || model === 'none') return {}
  if (!Object.hasOwn(MODELS, model))
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${meta.file}: tokenizer.ggml.model ${show(model)} is not read; attune reads ${Object.keys(MODELS).join(', ')}`,
      { file: meta.file, model },
    )
  const vocabulary = readVocabulary(meta)
  const special = specialTokens(meta, vocabulary.tokens)
  const chatTemplate = meta.string('tokenizer.chat_template')
  return {
    chatTemplate,
    tokenizerJson: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: vocabulary.added,
      ...MODELS[model](meta, vocabulary),
      post_processor: postProcessor(meta, special),
    },
    tokenizerConfig: {
      added_tokens_decoder: Object.fromEntries(vocabulary.added.map(({ id, ...token }) => [id, token])),
      ...special,
      ...(chatTemplate === undefined ? {} : { chat_template: chatTemplate }),
      clean_up_tokenization_spaces: false,
      model_max_length: meta.number(`${meta.string('general.architecture')}.context_length`),
      tokenizer_class: 'PreTrainedTokenizerFast',
    },
  }
}

const UNKNOWN = 2
const CONTROL = 3
const USER_DEFINED = 4

function readVocabulary(meta: Metadata): Vocabulary {
  const key = 'tokenizer.ggml.tokens'
  const tokens = meta.require(meta.strings(key), key).map((token, id) => token || `[EMPTY_${id}]`) // as llama.cpp names them
  const types = meta.numbers('tokenizer.ggml.token_type')
  if (types && types.length !== tokens.length)
    throw meta.wrong('tokenizer.ggml.token_type', `${types.length} entries for ${tokens.length} tokens`)
  const added: AddedToken[] = []
  for (let id = 0; types && id < tokens.length; id++)
    if (types[id] === UNKNOWN || types[id] === CONTROL || types[id] === USER_DEFINED)
      added.push({
        id,
        content: tokens[id],
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: types[id] !== USER_DEFINED,
      })
  return { tokens, added }
}

function specialTokens(meta: Metadata, tokens: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, stem] of [
    ['bos_token', 'bos'],
    ['eos_token', 'eos'],
    ['unk_token', 'unknown'],
    ['pad_token', 'padding'],
  ]) {
    const key = `tokenizer.ggml.${stem}_token_id`
    const id = meta.number(key)
    if (id === undefined) continue
    if (!Number.isInteger(id) || id < 0 || id >= tokens.length) throw meta.wrong(key, `${id} is not one of ${tokens.length} tokens`)
    found[name] = tokens[id]
  }
  return found
}

/** Puts the bos and eos tokens around a text where the file asks for it. */
function postProcessor(meta: Metadata, special: Record<string, string>): Record<string, unknown> | null {
  const token = (name: string, id: string) => ({ name: special[name], id: meta.number(`tokenizer.ggml.${id}_token_id`) })
  const before =
    (meta.boolean('tokenizer.ggml.add_bos_token') ?? meta.string('tokenizer.ggml.model') === 'llama') && special.bos_token !== undefined
      ? [token('bos_token', 'bos')]
      : []
  const after = meta.boolean('tokenizer.ggml.add_eos_token') && special.eos_token !== undefined ? [token('eos_token', 'eos')] : []
  if (before.length + after.length === 0) return null
  const around = (sequence: 'A' | 'B', type_id: number) => [
    ...before.map(t => ({ SpecialToken: { id: t.name, type_id } })),
    { Sequence: { id: sequence, type_id } },
    ...after.map(t => ({ SpecialToken: { id: t.name, type_id } })),
  ]
  return {
    type: 'TemplateProcessing',
    single: around('A', 0),
    pair: [...around('A', 0), ...around('B', 1)],
    special_tokens: Object.fromEntries([...before, ...after].map(t => [t.name, { id: t.name, ids: [t.id], tokens: [t.name] }])),
  }
}
