import { type RopeSpec, scalings } from '@attune/position'
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
}

/** Rotary settings of config.json, in the style of transformers 5 (`rope_parameters`) or 4 (`rope_theta`, `rope_scaling`). */
export function ropeFromConfig(c: ConfigReader, headDim: number, maxPositions: number, defaults: RopeDefaults = {}): RopeSpec {
  const all = c.object('rope_parameters')
  const modern = defaults.layers === undefined ? all : (all?.[defaults.layers] as Readonly<Record<string, unknown>> | undefined)
  const legacy = defaults.scaled === false ? undefined : c.object('rope_scaling')
  const scaling = { ...(legacy ?? (modern ? {} : defaults.parameters)), ...(modern ?? {}) } as Record<string, unknown>
  const given = c.raw('rope_theta')
  const theta = scaling.rope_theta ?? given ?? defaults.theta ?? 10000
  if (typeof theta !== 'number' || !(theta > 0)) throw c.wrong('rope_theta', 'a positive number', theta)
  const partial = scaling.partial_rotary_factor ?? c.raw('partial_rotary_factor') ?? defaults.partial ?? 1
  if (typeof partial !== 'number' || !(partial > 0 && partial <= 1)) throw c.wrong('partial_rotary_factor', 'a number in (0, 1]', partial)
  if (partial !== 1 && defaults.partial === undefined)
    throw new AttuneError('ERR_UNSUPPORTED', `${c.file}: models of this type turn whole heads; 'partial_rotary_factor' is ${partial}`, {
      partial_rotary_factor: partial,
    })
  const type = scaling.rope_type ?? scaling.type ?? 'default'
  for (const k of ['rope_theta', 'partial_rotary_factor', 'rope_type', 'type']) delete scaling[k]
  if (typeof type !== 'string' || !scalings[type])
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${c.file}: rope type ${JSON.stringify(type)} is not supported (known: ${Object.keys(scalings).join(', ')})`,
      { rope_type: type },
    )
  const unknown = Object.keys(scaling).filter(k => !scalings[type].keys.includes(k) && scaling[k] !== null)
  if (unknown.length > 0)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${c.file}: rope parameter${unknown.length > 1 ? 's' : ''} ${unknown.map(k => `'${k}'`).join(', ')} of type '${type}' ${unknown.length > 1 ? 'are' : 'is'} not supported`,
      { keys: unknown },
    )
  return {
    kind: 'rope',
    dims: Math.floor(headDim * partial),
    theta,
    pairing: defaults.pairing ?? 'half',
    maxPositions,
    ...(type === 'default' ? {} : { scaling: { ...scaling, type } }),
  }
}

/** YaRN's factor on scores, as the square root DeepSeek applies to queries and keys each: 0.1 · mscale_all_dim · ln(factor) + 1. */
export function yarnScale({ scaling }: RopeSpec): number {
  const { factor, mscale_all_dim: mscale } = (scaling ?? {}) as { factor?: number; mscale_all_dim?: number }
  return mscale && factor && factor > 1 ? 0.1 * mscale * Math.log(factor) + 1 : 1
}
