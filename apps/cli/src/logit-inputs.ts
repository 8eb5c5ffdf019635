import { readFile } from 'node:fs/promises'
import { AttuneError } from '@attune/tensor'
import { floats, readSafetensors, type Safetensors } from '@attune/weights'
import { fileSource } from '@attune/weights/node'

/** One batch of an inputs file: padded rows of equal length. */
export interface LogitInput {
  readonly name: string
  readonly ids: readonly (readonly number[])[]
  readonly mask: readonly (readonly number[])[]
  /** Positions of every token, padding included. */
  readonly positions: readonly (readonly number[])[]
}

/**
 * Reads `{ "inputs": { NAME: { input_ids, attention_mask?, position_ids? } } }`. A tensor that is missing there may lie in the safetensors
 * of the same name beside the file, as `NAME.input_ids`. Positions count from 0 over the padded length unless given, as in transformers.
 */
export async function readLogitInputs(path: string, vocab: number): Promise<LogitInput[]> {
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
  const out: LogitInput[] = []
  for (const [name, fields] of Object.entries(inputs as Record<string, Record<string, unknown>>)) {
    const field = async (key: string): Promise<number[][] | undefined> => {
      const given = fields?.[key]
      if (given !== undefined && given !== null) return matrix(given, path, `inputs.${name}.${key}`)
      const entry = beside?.tensors.get(`${name}.${key}`)
      if (!entry) return undefined
      const data = await floats(entry)
      const width = entry.shape.at(-1) ?? 0
      return Array.from({ length: width ? data.length / width : 0 }, (_, r) => Array.from(data.subarray(r * width, (r + 1) * width)))
    }
    const unknown = Object.keys(fields ?? {}).filter(k => !['input_ids', 'attention_mask', 'position_ids'].includes(k))
    if (unknown.length > 0)
      throw new AttuneError('ERR_UNSUPPORTED', `${path}: inputs.${name}.${unknown[0]} is not an input of a decoder`, {
        file: path,
        field: `inputs.${name}.${unknown[0]}`,
      })
    const ids = await field('input_ids')
    if (!ids)
      throw new AttuneError('ERR_FORMAT', `${path}: inputs.${name}.input_ids is missing`, { file: path, field: `inputs.${name}.input_ids` })
    const like = (x: number[][] | undefined, key: string, otherwise: (t: number) => number): number[][] => {
      if (x && (x.length !== ids.length || x.some((r, i) => r.length !== ids[i].length)))
        throw new AttuneError('ERR_FORMAT', `${path}: inputs.${name}.${key} has another shape than input_ids`, {
          file: path,
          field: `inputs.${name}.${key}`,
        })
      return x ?? ids.map(r => r.map((_, t) => otherwise(t)))
    }
    const input = {
      name,
      ids,
      mask: like(await field('attention_mask'), 'attention_mask', () => 1),
      positions: like(await field('position_ids'), 'position_ids', t => t),
    }
    ids.forEach((row, r) => {
      const bad = row.findIndex((id, t) => input.mask[r][t] && !(Number.isInteger(id) && id >= 0 && id < vocab))
      if (bad >= 0)
        throw new AttuneError(
          'ERR_FORMAT',
          `${path}: inputs.${name}.input_ids[${r}][${bad}] is ${row[bad]}, outside the vocabulary of ${vocab}`,
          { file: path, field: `inputs.${name}.input_ids`, value: row[bad] },
        )
    })
    out.push(input)
  }
  return out
}

async function besideFile(path: string): Promise<Safetensors | undefined> {
  const file = path.replace(/\.json$/, '.safetensors')
  const source = await fileSource(file).catch(() => undefined)
  return source && readSafetensors(source)
}

function matrix(x: unknown, path: string, field: string): number[][] {
  const rows = Array.isArray(x) && Array.isArray(x[0]) ? x : [x]
  if (
    !rows.every(r => Array.isArray(r) && r.every(v => typeof v === 'number' && Number.isFinite(v))) ||
    rows.some(r => r.length !== rows[0].length || r.length === 0)
  )
    throw new AttuneError('ERR_FORMAT', `${path}: ${field} must be a (batch, T) list of numbers`, { file: path, field })
  return rows as number[][]
}
