import { type RopeSpec, ropeFrequencies, scalings } from '@attune/position'
import { AttuneError } from '@attune/tensor'
import type { ConfigReader } from './config-reader.ts'

export interface RopeDefaults {
  readonly theta?: number
  /** Share of a head's numbers that turn; without it the model type turns all and a config cannot say otherwise. */
  readonly partial?: number
  readonly pairing?: RopeSpec['pairing']
  /** `rope_parameters` of a config that has none. */
  readonly parameters?: Readonly<Record<string, unknown>>
  /** Kind of layers (`full_attention`) whose own entry of `rope_parameters` is read. */
  readonly layers?: string
  /** False where `rope_scaling` is another kind of layer's. */
  readonly scaled?: boolean
  /** Key of the base in the style of transformers 4; `rope_theta` by default. */
  readonly thetaKey?: string
  /** Rope types that configs of this model type call otherwise. */
  readonly types?: Readonly<Record<string, string>>
  /** `original_max_position_embeddings` beside `max_position_embeddings`, which counts before that of the scaling. */
  readonly trained?: number
}

/** Where configs of transformers 5 and 4 hold rotary settings. */
const PLACES = ['rope_parameters', 'rope_scaling']

/** Rope types whose frequencies transformers computes for the context a model was first trained for. */
const TRAINED = ['llama3', 'yarn', 'longrope']

/** Rotary settings of config.json, in the style of transformers 5 (`rope_parameters`) or 4 (`rope_theta`, `rope_scaling`). */
export function ropeFromConfig(c: ConfigReader, headDim: number, maxPositions: number, defaults: RopeDefaults = {}): RopeSpec {
  const all = c.object('rope_parameters')
  const modern = defaults.layers === undefined ? all : ofLayers(c, all, defaults.layers)
  const legacy = (defaults.scaled === false ? undefined : c.object('rope_scaling')) ?? {}
  const own = Object.keys(legacy).length === 0 ? (modern ?? defaults.parameters) : { ...(defaults.layers ? modern : {}), ...legacy }
  const scaling: Record<string, unknown> = { ...own }
  const { thetaKey = 'rope_theta' } = defaults
  const given = c.raw(thetaKey)
  const theta = scaling.rope_theta ?? given ?? defaults.theta ?? 10000
  if (typeof theta !== 'number' || !(theta > 0)) throw c.wrong(thetaKey, 'a positive number', theta)
  const partial = scaling.partial_rotary_factor ?? c.raw('partial_rotary_factor') ?? defaults.partial ?? 1
  if (typeof partial !== 'number' || !(partial > 0 && partial <= 1)) throw c.wrong('partial_rotary_factor', 'a number in (0, 1]', partial)
  if (partial !== 1 && defaults.partial === undefined)
    throw new AttuneError('ERR_UNSUPPORTED', `${c.file}: models of this type turn whole heads; 'partial_rotary_factor' is ${partial}`, {
      partial_rotary_factor: partial,
    })
  const told = scaling.rope_type ?? scaling.type ?? 'default'
  const type = defaults.types?.[told as string] ?? told
  for (const k of ['rope_theta', 'partial_rotary_factor', 'rope_type', 'type']) delete scaling[k]
  if (typeof type !== 'string' || !scalings[type])
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${c.file}: rope type ${JSON.stringify(type)} is not supported (known: ${Object.keys(scalings).join(', ')})`,
      { rope_type: type },
    )
  const trained = c.raw('original_max_position_embeddings') ?? defaults.trained
  if (TRAINED.includes(type) && trained !== undefined) scaling.original_max_position_embeddings = trained
  const unknown = Object.keys(scaling).filter(k => !scalings[type].keys.includes(k) && scaling[k] !== null)
  if (unknown.length > 0)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${c.file}: rope parameter${unknown.length > 1 ? 's' : ''} ${unknown.map(k => `'${k}'`).join(', ')} of type '${type}' ${unknown.length > 1 ? 'are' : 'is'} not supported`,
      { keys: unknown, unknown: unknown.flatMap(k => PLACES.map(at => [at, ...(defaults.layers ? [defaults.layers] : []), k])) },
    )
  const dims = Math.floor(headDim * partial)
  if (dims < 2)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${c.file}: partial_rotary_factor ${partial} turns ${dims} of ${headDim} numbers, less than a pair`,
      {
        partial_rotary_factor: partial,
      },
    )
  if (TRAINED.includes(type)) scaling.original_max_position_embeddings ??= maxPositions
  const spec: RopeSpec = {
    kind: 'rope',
    dims,
    theta,
    pairing: defaults.pairing ?? 'half',
    maxPositions,
    ...(type === 'default' ? {} : { scaling: { ...scaling, type } }),
  }
  // What the frequencies lack is said now, not when the model runs.
  if (spec.scaling) for (const span of [1, 4 * maxPositions]) ropeFrequencies(spec, span)
  return spec
}

const LAYER_KINDS = ['full_attention', 'sliding_attention', 'chunked_attention', 'linear_attention']

/** The settings of one kind of layers; a config that has some for all of them alike is not understood. */
function ofLayers(
  c: ConfigReader,
  all: Readonly<Record<string, unknown>> | undefined,
  layers: string,
): Record<string, unknown> | undefined {
  for (const [kind, x] of Object.entries(all ?? {})) {
    if (!LAYER_KINDS.includes(kind) && typeof x === 'object' && x !== null)
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `${c.file}: rope_parameters of '${kind}' are not supported, only of ${LAYER_KINDS.join(', ')}`,
        {
          keys: [`rope_parameters.${kind}`],
          unknown: [['rope_parameters', kind]],
        },
      )
    if (x !== null && typeof x !== 'object') throw c.wrong('rope_parameters', `settings by kind of layer (${layers})`, { [kind]: x })
  }
  return (all?.[layers] ?? undefined) as Record<string, unknown> | undefined
}

/** YaRN's factor on scores, as the square root DeepSeek applies to queries and keys each: 0.1 · mscale_all_dim · ln(factor) + 1. */
export function yarnScale({ scaling }: RopeSpec): number {
  const { factor, mscale_all_dim: mscale } = (scaling ?? {}) as { factor?: number; mscale_all_dim?: number }
  return mscale && factor && factor > 1 ? 0.1 * mscale * Math.log(factor) + 1 : 1
}
