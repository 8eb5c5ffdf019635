import { readFile } from 'node:fs/promises'
import type { Image } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import { floats, readSafetensors, type Safetensors } from '@attune/weights'
import { fileSource } from '@attune/weights/node'

/** Padded rows of equal length. */
export interface TokenRows {
  readonly ids: readonly (readonly number[])[]
  readonly mask: readonly (readonly number[])[]
  /** Positions of every token, padding included. */
  readonly positions: readonly (readonly number[])[]
  /** Types of every token, where given. */
  readonly types?: readonly (readonly number[])[]
}
/** One batch of an inputs file. */
export interface LogitInput extends TokenRows {
  readonly name: string
  /** What an encoder-decoder answers about. */
  readonly memory?: TokenRows
}
/** One batch of images (channels, height, width). */
export interface ImageInput {
  readonly name: string
  readonly images: readonly Image[]
}

/** Where a batch's tensors come from, and errors that name them. */
class Fields {
  constructor(
    readonly path: string,
    readonly name: string,
    readonly given: Readonly<Record<string, unknown>>,
    readonly beside?: Safetensors,
  ) {}
  wrong(key: string, what: string, value?: unknown): AttuneError {
    const field = `inputs.${this.name}.${key}`
    return new AttuneError('ERR_FORMAT', `${this.path}: ${field} ${what}`, { file: this.path, field, value })
  }
  /** Refuses fields that are not inputs of such a model. */
  only(keys: readonly string[], kind: string): void {
    const unknown = Object.keys(this.given).find(k => !keys.includes(k))
    if (unknown !== undefined)
      throw new AttuneError('ERR_UNSUPPORTED', `${this.path}: inputs.${this.name}.${unknown} is not an input of ${kind}`, {
        file: this.path,
        field: `inputs.${this.name}.${unknown}`,
      })
  }
  async matrix(key: string): Promise<number[][] | undefined> {
    const given = this.given[key]
    if (given !== undefined && given !== null) return this.#rows(key, given)
    const entry = this.beside?.tensors.get(`${this.name}.${key}`)
    if (!entry) return undefined
    const data = await floats(entry)
    const width = entry.shape.at(-1) ?? 0
    return Array.from({ length: width ? data.length / width : 0 }, (_, r) => Array.from(data.subarray(r * width, (r + 1) * width)))
  }
  /** Rows of token ids, with what is beside them under keys that begin with `prefix`. */
  async rows(prefix: string, vocab: number): Promise<TokenRows> {
    const key = `${prefix}input_ids`
    const ids = await this.matrix(key)
    if (!ids) throw this.wrong(key, 'is missing')
    const like = async (what: string, otherwise: (t: number) => number): Promise<number[][]> => {
      const x = await this.matrix(`${prefix}${what}`)
      if (x && (x.length !== ids.length || x.some((r, i) => r.length !== ids[i].length)))
        throw this.wrong(`${prefix}${what}`, `has another shape than ${key}`)
      return x ?? ids.map(r => r.map((_, t) => otherwise(t)))
    }
    const mask = await like('attention_mask', () => 1)
    for (const [r, row] of ids.entries()) {
      const bad = row.findIndex((id, t) => mask[r][t] && !(Number.isInteger(id) && id >= 0 && id < vocab))
      if (bad >= 0) throw this.wrong(`${key}[${r}][${bad}]`, `is ${row[bad]}, outside the vocabulary of ${vocab}`, row[bad])
    }
    const typed = (await this.matrix(`${prefix}token_type_ids`)) !== undefined
    return {
      ids,
      mask,
      positions: await like('position_ids', t => t),
      ...(typed ? { types: await like('token_type_ids', () => 0) } : {}),
    }
  }
  #rows(key: string, x: unknown): number[][] {
    const rows = Array.isArray(x) && Array.isArray(x[0]) ? x : [x]
    if (
      !rows.every(r => Array.isArray(r) && r.every(v => typeof v === 'number' && Number.isFinite(v))) ||
      rows.some(r => r.length !== rows[0].length || r.length === 0)
    )
      throw this.wrong(key, 'must be a (batch, T) list of numbers')
    return rows as number[][]
  }
}

const DECODER = ['input_ids', 'attention_mask', 'position_ids']
const KEYS = {
  decoder: { keys: DECODER, of: 'a decoder' },
  encoder: { keys: ['input_ids', 'attention_mask', 'token_type_ids'], of: 'an encoder' },
  'encoder-decoder': {
    keys: ['input_ids', 'attention_mask', 'decoder_input_ids', 'decoder_attention_mask'],
    of: 'an encoder-decoder',
  },
}

/**
 * Reads `{ "inputs": { NAME: { input_ids, attention_mask?, position_ids? } } }`; encoders take `token_type_ids`, encoder-decoders
 * `decoder_input_ids`. A tensor that is missing there may lie in the safetensors of the same name beside the file, as `NAME.input_ids`.
 * Positions count from 0 over the padded length unless given, as in transformers.
 */
export async function readLogitInputs(path: string, kind: keyof typeof KEYS, vocab: number): Promise<LogitInput[]> {
  return Promise.all(
    (await batches(path)).map(async fields => {
      fields.only(KEYS[kind].keys, KEYS[kind].of)
      const rows = await fields.rows('', vocab)
      if (kind !== 'encoder-decoder') return { name: fields.name, ...rows }
      const own = await fields.rows('decoder_', vocab)
      if (own.ids.length !== rows.ids.length)
        throw fields.wrong('decoder_input_ids', `has ${own.ids.length} rows for ${rows.ids.length} inputs`)
      return { name: fields.name, ...own, memory: rows }
    }),
  )
}

/** Images of an inputs file: `NAME.pixel_values` (batch, channels, height, width) in the safetensors beside it. */
export async function readImageInputs(path: string): Promise<ImageInput[]> {
  return Promise.all(
    (await batches(path)).map(async fields => {
      fields.only(['pixel_values'], 'an encoder of images')
      const entry = fields.beside?.tensors.get(`${fields.name}.pixel_values`)
      if (entry?.shape.length !== 4) throw fields.wrong('pixel_values', 'must lie beside the file as (batch, channels, height, width)')
      const [count, channels, height, width] = entry.shape
      const all = await floats(entry)
      const size = channels * height * width
      const images = Array.from({ length: count }, (_, i) => ({ data: all.slice(i * size, (i + 1) * size), channels, height, width }))
      return { name: fields.name, images }
    }),
  )
}

async function batches(path: string): Promise<Fields[]> {
  let json: unknown
  try {
    json = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new AttuneError('ERR_FORMAT', `${path}: not readable as JSON: ${(cause as Error).message}`, { file: path }, cause)
  }
  const inputs = (json as { inputs?: unknown })?.inputs
  if (typeof inputs !== 'object' || inputs === null || Array.isArray(inputs))
    throw new AttuneError('ERR_FORMAT', `${path}: field 'inputs' must be an object of named inputs`, { file: path, field: 'inputs' })
  const beside = await besideFile(path)
  return Object.entries(inputs).map(([name, given]) => new Fields(path, name, (given ?? {}) as Record<string, unknown>, beside))
}

async function besideFile(path: string): Promise<Safetensors | undefined> {
  const source = await fileSource(path.replace(/\.json$/, '.safetensors')).catch(() => undefined)
  return source && readSafetensors(source)
}
