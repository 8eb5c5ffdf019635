import { AttuneError } from '@attune/expr'
import { type ScalingRule, scalings } from './scaling.ts'

/** Rotary embedding as data. Names follow Hugging Face's `rope_parameters`. Su et al. 2021, https://arxiv.org/abs/2104.09864 */
export interface RopeSpec {
  readonly kind: 'rope'
  /** Rotated numbers per head (twice the frequencies). */
  readonly dims: number
  readonly theta: number
  readonly pairing: 'half' | 'interleaved'
  /** Context the model was trained for. */
  readonly maxPositions: number
  readonly scaling?: { readonly type: string } & Readonly<Record<string, unknown>>
  /**
   * Frequencies by their number among those of a head of `of` rotated numbers, in any order, any of them again and again (a key that was
   * mixed from several heads). Absent: those of `dims` numbers, each once.
   */
  readonly picked?: { readonly of: number; readonly pairs: readonly number[] }
}

export interface Frequencies {
  /** Inverse frequencies (dims / 2) */
  readonly values: Float32Array
  /** Multiplies cos and sin. */
  readonly factor: number
}

/**
 * Inverse frequencies for a sequence that reaches `span` positions, in float32 as transformers computes them. Only scalings that
 * depend on the length (dynamic, longrope) look at `span`.
 */
export function ropeFrequencies(spec: RopeSpec, span: number): Frequencies {
  const { picked } = spec
  if (!picked) return ruleOf(spec).frequencies(spec, span)
  const { values, factor } = ruleOf(spec).frequencies({ ...spec, dims: picked.of }, span)
  const other = picked.pairs.find(i => !(i in values))
  if (other !== undefined || 2 * picked.pairs.length !== spec.dims)
    throw new AttuneError(
      'ERR_ARGUMENT',
      `rope turns ${spec.dims} numbers by ${picked.pairs.length} frequencies${other === undefined ? '' : `, one of them number ${other} of ${values.length}`}`,
      { picked },
    )
  return { values: Float32Array.from(picked.pairs, i => values[i]), factor }
}
/** True when the frequencies change with the sequence's length, token by token. */
export const frequenciesVary = (spec: RopeSpec): boolean => ruleOf(spec).varies
/** Length beyond which all positions of a sequence turn by other frequencies; undefined where there is none. */
export const ropeEdge = (spec: RopeSpec): number | undefined => ruleOf(spec).edge?.(spec)

function ruleOf(spec: RopeSpec): ScalingRule {
  const type = spec.scaling?.type ?? 'default'
  const rule = scalings[type]
  if (!rule)
    throw new AttuneError('ERR_UNSUPPORTED', `rope type '${type}' is not one of ${Object.keys(scalings).join(', ')}`, { rope_type: type })
  return rule
}
