import { AttuneError } from '@attune/tensor'

/** What becomes of some layers. */
export interface PlanEntry {
  /** Numbers, or text such as `all`, `7` or `0-4,7`. */
  readonly layers: string | readonly number[]
  /** Variant they become. */
  readonly to: string
  /** Bridge to take where it is not exact; the closest one by default. */
  readonly method?: string
  /** Wishes for the variant's config, such as `{ kvHeads: 2 }`. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Settings of the method. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Whether the output projection is then fitted to the source's outputs. Default: `output` for methods of class least-squares. */
  readonly fit?: 'output' | 'none'
}

/** A conversion as data. Layers that no entry names stay as they are. */
export interface Plan {
  readonly layers: readonly PlanEntry[]
}

const isObject = (x: unknown): x is Readonly<Record<string, unknown>> => typeof x === 'object' && x !== null && !Array.isArray(x)

/** Checks a plan that came from a file. Errors: `ERR_ARGUMENT` naming the place. */
export function planFrom(json: unknown): Plan {
  if (!isObject(json)) throw wrong('plan', 'an object with a list `layers`', json)
  only(json, 'plan', ['layers'])
  if (!Array.isArray(json.layers) || json.layers.length === 0) throw wrong('plan.layers', 'a list of at least one entry', json.layers)
  return { layers: json.layers.map((entry, i) => entryFrom(entry, `plan.layers[${i}]`)) }
}

/** The entry of each layer that a plan converts. Errors: `ERR_ARGUMENT` for a layer named twice or not there. */
export function entriesOf(plan: Plan, layers: number): Map<number, PlanEntry> {
  const out = new Map<number, PlanEntry>()
  planFrom(plan).layers.forEach((entry, i) => {
    for (const layer of layerNumbers(entry.layers, layers, `plan.layers[${i}].layers`)) {
      if (out.has(layer)) throw new AttuneError('ERR_ARGUMENT', `plan.layers[${i}] names layer ${layer} a second time`, { layer })
      out.set(layer, entry)
    }
  })
  return new Map([...out].sort(([a], [b]) => a - b))
}

/** Layers that a text or a list names, of a model with `count` layers. */
export function layerNumbers(layers: PlanEntry['layers'], count: number, where = 'layers'): number[] {
  if (layers === 'all') return Array.from({ length: count }, (_, i) => i)
  const list =
    typeof layers === 'string'
      ? layers.split(',').flatMap(part => {
          const range = /^\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?$/.exec(part)
          if (!range) throw wrong(where, "'all' or numbers and ranges such as '0-4,7'", layers)
          const [from, to] = [Number(range[1]), Number(range[2] ?? range[1])]
          if (to < from || to >= count) throw outside(where, to, count)
          return Array.from({ length: to - from + 1 }, (_, i) => from + i)
        })
      : [...layers]
  for (const layer of list) if (!Number.isInteger(layer) || layer < 0 || layer >= count) throw outside(where, layer, count)
  return list
}

function entryFrom(json: unknown, where: string): PlanEntry {
  if (!isObject(json)) throw wrong(where, 'an object', json)
  only(json, where, ['layers', 'to', 'method', 'config', 'options', 'fit'])
  const { layers, to, method, config, options, fit } = json
  if (typeof layers !== 'string' && !(Array.isArray(layers) && layers.every(Number.isInteger)))
    throw wrong(`${where}.layers`, "'all', ranges such as '0-4,7', or a list of layer numbers", layers)
  if (typeof to !== 'string') throw wrong(`${where}.to`, 'the name of a variant', to)
  if (method !== undefined && typeof method !== 'string') throw wrong(`${where}.method`, 'the name of a bridge', method)
  if (config !== undefined && !isObject(config)) throw wrong(`${where}.config`, 'an object', config)
  if (options !== undefined && !isObject(options)) throw wrong(`${where}.options`, 'an object', options)
  if (fit !== undefined && fit !== 'output' && fit !== 'none') throw wrong(`${where}.fit`, "'output' or 'none'", fit)
  return json as unknown as PlanEntry
}

function only(json: Readonly<Record<string, unknown>>, where: string, keys: readonly string[]): void {
  const other = Object.keys(json).find(k => !keys.includes(k))
  if (other !== undefined)
    throw new AttuneError('ERR_ARGUMENT', `${where} has a key '${other}'; known are ${keys.join(', ')}`, { key: other })
}
const wrong = (where: string, want: string, got: unknown) =>
  new AttuneError('ERR_ARGUMENT', `${where} must be ${want}, got ${JSON.stringify(got)}`, { where, value: got })
const outside = (where: string, layer: number, count: number) =>
  new AttuneError('ERR_ARGUMENT', `${where} names layer ${layer}; the model has layers 0 to ${count - 1}`, { layer, layers: count })
