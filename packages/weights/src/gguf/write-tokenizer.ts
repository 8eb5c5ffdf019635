import { AttuneError } from '@attune/tensor'
import type { CheckpointFiles } from '../save.ts'
import type { Config, Field } from './architecture.ts'
import { PRE_TOKENIZERS } from './tokenizer-bpe.ts'

const [NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE] = [1, 2, 3, 4, 5, 6]

interface TokenizerJson {
  readonly model?: {
    type?: string
    vocab?: Record<string, number>
    merges?: (string | [string, string])[]
    byte_fallback?: boolean
    unk_token?: string | null
  }
  readonly added_tokens?: { id: number; content: string; special: boolean }[]
  readonly normalizer?: Node | null
  readonly pre_tokenizer?: Node | null
  readonly post_processor?: { single?: { SpecialToken?: { id: string } }[]; processors?: TokenizerJson['post_processor'][] } | null
}
interface Node {
  readonly type: string
  readonly [key: string]: unknown
}

/** `tokenizer.ggml.*` from tokenizer.json, a token per row of the embedding. Errors: `ERR_UNSUPPORTED` for a tokenizer that llama.cpp could not run alike. */
export function tokenizerFields(files: CheckpointFiles, rows: number): Field[] {
  const json = files.tokenizerJson as TokenizerJson | undefined
  if (!json) return [['tokenizer.ggml.model', 'string', 'none']]
  const { model } = json
  if (model?.type !== 'BPE' || !model.vocab || !model.merges)
    throw refuse(`tokenizer.json: model ${model?.type} cannot be written as GGUF, only BPE`)
  const merges = model.merges.map(m => (typeof m === 'string' ? m : m.join(' ')))
  const { tokens, types } = vocabulary(json, rows)
  const common: Field[] = [
    ['tokenizer.ggml.tokens', 'strings', tokens],
    ['tokenizer.ggml.token_type', 'i32s', types],
    ...specials(files, json, tokens),
    ...(files.chatTemplate === undefined ? [] : ([['tokenizer.chat_template', 'string', files.chatTemplate]] as const)),
  ]
  if (!model.byte_fallback)
    return [
      ['tokenizer.ggml.model', 'string', 'gpt2'],
      ['tokenizer.ggml.pre', 'string', preTokenizer(json.pre_tokenizer)],
      ...common,
      ['tokenizer.ggml.merges', 'strings', merges],
    ]
  return [
    ['tokenizer.ggml.model', 'string', 'llama'],
    ['tokenizer.ggml.pre', 'string', 'default'],
    ...common,
    ['tokenizer.ggml.scores', 'f32s', scores(tokens, merges)],
    ['tokenizer.ggml.add_space_prefix', 'bool', prefixed(json)],
  ]
}

const refuse = (why: string) => new AttuneError('ERR_UNSUPPORTED', why, { file: 'tokenizer.json' })

function vocabulary(json: TokenizerJson, rows: number): { tokens: string[]; types: number[] } {
  const tokens: string[] = Array.from({ length: rows }, (_, i) => `[PAD${i}]`)
  const types: number[] = new Array(rows).fill(UNUSED)
  const put = (id: number, token: string, type: number) => {
    if (!(id < rows)) throw refuse(`tokenizer.json: token ${id} has no row among ${rows} of the embedding`)
    tokens[id] = token
    types[id] = type
  }
  const { vocab = {}, byte_fallback, unk_token } = json.model!
  for (const [token, id] of Object.entries(vocab))
    put(id, token, byte_fallback && /^<0x[0-9A-F]{2}>$/.test(token) ? BYTE : token === unk_token ? UNKNOWN : NORMAL)
  for (const { id, content, special } of json.added_tokens ?? [])
    put(id, content, content === unk_token ? UNKNOWN : special ? CONTROL : USER_DEFINED)
  return { tokens, types }
}

/** What `tokenizer_config.json` or, without it, config.json names. */
function specials({ tokenizerConfig = {}, config }: CheckpointFiles, json: TokenizerJson, tokens: readonly string[]): Field[] {
  const fields: Field[] = []
  const id = (name: string): number | undefined => {
    const given = tokenizerConfig[`${name}_token`] as string | { content?: string } | null | undefined
    const token = typeof given === 'object' ? given?.content : given
    if (token !== undefined) return tokens.indexOf(token) < 0 ? undefined : tokens.indexOf(token)
    return [(config as Config)[`${name}_token_id`]].flat()[0] as number | undefined
  }
  for (const [name, key] of [
    ['bos', 'bos'],
    ['eos', 'eos'],
    ['unk', 'unknown'],
    ['pad', 'padding'],
  ] as const) {
    const found = id(name)
    if (typeof found === 'number' && found >= 0) fields.push([`tokenizer.ggml.${key}_token_id`, 'u32', found])
  }
  for (const [name, at] of [
    ['bos', 0],
    ['eos', -1],
  ] as const) {
    const around = templates(json.post_processor).some(t => t.at(at)?.SpecialToken !== undefined)
    const told = tokenizerConfig[`add_${name}_token`]
    fields.push([`tokenizer.ggml.add_${name}_token`, 'bool', json.post_processor ? around : told === true])
  }
  return fields
}

const templates = (p: TokenizerJson['post_processor']): { SpecialToken?: unknown }[][] =>
  p ? [...(p.single ? [p.single] : []), ...(p.processors ?? []).flatMap(templates)] : []

/** A token's place among the merges: SentencePiece joins the best scored pair first. */
function scores(tokens: readonly string[], merges: readonly string[]): Float32Array {
  const rank = new Map<string, number>()
  merges.forEach((merge, i) => {
    const token = merge.replace(' ', '')
    if (!rank.has(token)) rank.set(token, i)
  })
  return Float32Array.from(tokens, token => -(rank.get(token) ?? merges.length))
}

function prefixed({ normalizer, pre_tokenizer }: TokenizerJson): boolean {
  const nodes = [...parts(normalizer), ...parts(pre_tokenizer)]
  return nodes.some(n => n.type === 'Prepend' || (n.type === 'Metaspace' && n.prepend_scheme !== 'never' && n.add_prefix_space !== false))
}

const parts = (node: Node | null | undefined): Node[] =>
  node ? (((node.normalizers ?? node.pretokenizers) as Node[] | undefined) ?? [node]).flatMap(n => (n === node ? [n] : parts(n))) : []

/** llama.cpp's name for how text is cut. */
function preTokenizer(node: Node | null | undefined): string {
  const own = plain(node)
  const found = Object.entries(PRE_TOKENIZERS).find(([, known]) => plain(known as Node) === own)
  if (!found) throw refuse(`tokenizer.json: llama.cpp has no name that attune knows for this pre_tokenizer: ${JSON.stringify(node)}`)
  return found[0]
}

/** What matters of how text is cut. */
const plain = (node: Node | null | undefined): string =>
  JSON.stringify(parts(node).map(({ trim_offsets: _, invert, ...rest }) => Object.entries({ ...rest, invert: invert ?? false }).sort()))
