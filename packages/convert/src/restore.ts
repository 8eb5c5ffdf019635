import { type HeadLayout, headsOf, overOf, pickHeads } from '@attune/attention-heads'
import type { LayerSpec, Model } from '@attune/models'
import { type ParamValue, underPrefix, walkParams, weightShape } from '@attune/nn'
import { AttuneError } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import { withForms } from './convert.ts'
import { CONVERSION_FORMAT } from './record.ts'
import type { LayerForm } from './walk.ts'

/**
 * Gives a model read from an exported folder the layers that conversion.json records, with their small caches: of heads that were
 * written as copies one is kept, after the copies were found equal bit by bit. Models without conversion.json come back as they are.
 * Errors: `ERR_FORMAT` naming the layer for a record that does not fit the files, `ERR_UNSUPPORTED` for variants not given.
 */
export async function applyConversion(checkpoint: Checkpoint, model: Model): Promise<Model> {
  if (!checkpoint.conversion) return model
  const records = recordsOf(checkpoint, model)
  const forms = new Map<number, LayerForm>()
  for (const [i, layer] of model.spec.layers.entries()) {
    const { variant, config } = records[i]
    if (sameParameters(model, layer, records[i])) {
      if (JSON.stringify(config) !== JSON.stringify(layer.attention.config))
        forms.set(i, { layer: { ...layer, attention: { ...layer.attention, config } }, values: underPrefix(model.values, `layers.${i}`) })
      continue
    }
    if (
      variant === layer.attention.variant &&
      JSON.stringify(headsOf(variant, config)) === JSON.stringify(headsOf(variant, layer.attention.config))
    )
      continue
    const where = `${checkpoint.name}: conversion.json, layer ${i}`
    const next: LayerSpec = { ...layer, attention: { ...layer.attention, variant, config } }
    const [from, to] = [layoutOf(model, layer, where), layoutOf(model, next, where)]
    const values = underPrefix(model.values, `layers.${i}`)
    const narrowed = new Map(values)
    const copied = [...values.keys()].filter(name => name === 'attention.k' || name === 'attention.v' || isOwnNorm(name, layer))
    for (const name of copied) narrowed.set(name, await narrow(values.get(name)!, from, to, `${where}, ${name}`))
    forms.set(i, { layer: next, values: narrowed })
  }
  return forms.size > 0 ? withForms(model, forms) : model
}

/** Whether a record of a variant without heads to take out names a layer's own parameters, whose shapes are in the files. */
function sameParameters({ variants }: Model, { attention }: LayerSpec, { variant, config }: Entry): boolean {
  if (variant !== attention.variant || headsOf(variant, config)) return false
  const shapes = (c: Entry['config']) =>
    JSON.stringify(
      [...walkParams(variants.get(variant)!.params(c))].map(([path, spec]) => [path, weightShape(spec), 'bias' in spec && spec.bias]),
    )
  return shapes(config) === shapes(attention.config)
}

interface Entry {
  readonly variant: string
  readonly config: Readonly<Record<string, unknown>>
}

function recordsOf({ conversion, name }: Checkpoint, model: Model): Entry[] {
  const wrong = (why: string) => new AttuneError('ERR_FORMAT', `${name}: conversion.json ${why}`, { file: 'conversion.json' })
  if (conversion!.format !== CONVERSION_FORMAT)
    throw wrong(`has format ${JSON.stringify(conversion!.format)}; this version reads ${CONVERSION_FORMAT}`)
  const { layers } = conversion!
  if (!Array.isArray(layers) || layers.length !== model.spec.layers.length)
    throw wrong(`must list ${model.spec.layers.length} layers as config.json does`)
  return layers.map((entry: unknown, i) => {
    const { variant, config } = (entry ?? {}) as Partial<Entry>
    if (typeof variant !== 'string' || typeof config !== 'object' || config === null)
      throw wrong(`has no variant and config for layer ${i}`)
    const known = model.spec.layers[i].attention.config as Readonly<Record<string, unknown>>
    const other = headsOf(variant, config) && ['dim', 'heads', 'headDim', 'bias', 'outBias'].find(key => config[key] !== known[key])
    if (other)
      throw wrong(`says ${other} ${JSON.stringify(config[other])} for layer ${i}, config.json says ${JSON.stringify(known[other])}`)
    return { variant, config }
  })
}

function layoutOf({ variants }: Model, { attention: { variant, config } }: LayerSpec, where: string): HeadLayout {
  const layout = variants.has(variant) ? headsOf(variant, config) : undefined
  if (!layout)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${where}: variant '${variant.slice(0, 60)}' is not among ${[...variants.keys()].join(', ')}`,
      { variant },
    )
  const { kvHeads, heads, map } = layout
  const valid =
    Number.isInteger(kvHeads) &&
    kvHeads >= 1 &&
    kvHeads <= heads &&
    Array.isArray(map) &&
    map.length === heads &&
    map.every(g => Number.isInteger(g) && g >= 0 && g < kvHeads)
  if (!valid || new Set(map).size !== kvHeads)
    throw new AttuneError('ERR_FORMAT', `${where}: query heads read key heads ${JSON.stringify(map)} of ${kvHeads}, which cannot be`, {})
  return layout
}

async function narrow(param: ParamValue, from: HeadLayout, to: HeadLayout, where: string): Promise<ParamValue> {
  const copies = Array.from({ length: to.kvHeads }, (_, g) => [...new Set(from.map.filter((_, h) => to.map[h] === g))])
  for (const constant of [param.weight, param.bias]) {
    if (!constant) continue
    const bytes = await constant.bytes()
    const span = bytes.length / from.kvHeads
    const head = (g: number) => bytes.subarray(g * span, (g + 1) * span)
    for (const [first, ...others] of copies)
      for (const other of others)
        if (!equal(head(first), head(other)))
          throw new AttuneError('ERR_FORMAT', `${where}: heads ${first} and ${other} are recorded as copies, but they differ`, {
            heads: [first, other],
          })
  }
  return pickHeads(
    param,
    copies.map(([first]) => first),
    param.weight.shape[0] / from.kvHeads,
  )
}

/** Whether a parameter norms keys by a gain of each head's own. */
const isOwnNorm = (name: string, { attention: { config } }: LayerSpec): boolean =>
  /^attention\.kNorm(\.|$)/.test(name) && overOf(config) !== 'head'

function equal(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
