import type { Bridge, BridgeInput } from '@attune/attention'
import { AttuneError } from '@attune/tensor'

/** A layer of key-value heads that latent attention is made from. */
export interface SourceHeads {
  readonly dim: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Key-value head of each query head. */
  readonly map: readonly number[]
  readonly bias: boolean
  readonly outBias: boolean
  /** Factor on the scores. */
  readonly scale: number
}

/** Variants of key-value heads, with the number of these. */
const FAMILY: Readonly<Record<string, (config: Record<string, any>) => number>> = {
  mha: c => c.heads,
  gqa: c => c.kvHeads,
  mqa: () => 1,
}
export const SOURCES = Object.keys(FAMILY)
const KEYS = ['dim', 'heads', 'kvHeads', 'headDim', 'bias', 'outBias', 'headMap', 'scale']

export function sourceHeads(variant: string, config: any): SourceHeads {
  const { dim, heads, headDim, bias = false, outBias = false, scale = headDim ** -0.5 } = config
  const kvHeads = FAMILY[variant](config)
  const map = config.headMap ?? Array.from({ length: heads }, (_, h) => Math.floor((h * kvHeads) / heads))
  return { dim, heads, kvHeads, headDim, map, bias, outBias, scale }
}

type Asked = Parameters<NonNullable<Bridge['why']>>[0]

/** Why a layer's keys cannot be mixed across heads: what else acts on them. */
export function whySource({ from, params, rotary }: Asked): string | undefined {
  const other = [...params.keys()].find(name => !['q', 'k', 'v', 'o'].includes(name))
  if (other)
    return `parameter '${other}' acts on the heads too (a norm of queries and keys cannot be folded into weights); this bridge only knows q, k, v and o`
  const key = Object.keys(from).find(k => !KEYS.includes(k) && from[k] !== undefined && from[k] !== false)
  if (key) return `the source layer has '${key}' in its config, which this bridge does not know`
  const { headDim } = from
  if (rotary && (rotary.dims % 2 !== 0 || rotary.dims > headDim))
    return `rotary dims ${rotary.dims} and headDim ${headDim} do not split into whole pairs`
  return undefined
}

/** What an option may be: the words for it where a value is not. */
export type OptionRule = (value: unknown) => string | undefined
export type OptionRules = Readonly<Record<string, OptionRule>>

export function whyOptions(options: BridgeInput['options'], known: OptionRules): string | undefined {
  for (const [name, value] of Object.entries(options ?? {})) {
    if (value === undefined) continue
    if (!(name in known)) return `it has no option '${name}' (known: ${Object.keys(known).join(', ')})`
    const want = known[name](value)
    if (want) return `option ${name} is ${JSON.stringify(value)}, not ${want}`
  }
  return undefined
}
export const oneOf =
  (...allowed: readonly unknown[]): OptionRule =>
  value =>
    allowed.includes(value) ? undefined : `one of ${allowed.map(v => JSON.stringify(v)).join(', ')}`
export const positive: OptionRule = value =>
  typeof value === 'number' && value > 0 && Number.isFinite(value) ? undefined : 'a number above 0'
export const count: OptionRule = value => (Number.isInteger(value) && (value as number) > 0 ? undefined : 'a count')
export const isFalse: OptionRule = value => (value === false ? undefined : 'false')
export const eitherOf =
  (a: OptionRule, b: OptionRule): OptionRule =>
  value => {
    const wants = [a(value), b(value)]
    return wants.every(w => w !== undefined) ? wants.join(' or ') : undefined
  }

/** Refuses wishes for config keys other than `keys`; the source's own values may be repeated. */
export function onlyWishes(
  wish: Readonly<Record<string, unknown>>,
  from: Readonly<Record<string, unknown>>,
  keys: readonly string[],
): void {
  for (const [key, value] of Object.entries(wish)) {
    if (keys.includes(key) || value === undefined || value === from[key]) continue
    throw new AttuneError(
      'ERR_ARGUMENT',
      `a conversion to 'mla' cannot set ${key} to ${JSON.stringify(value)}; it may set ${keys.join(', ')}`,
      {
        key,
        value,
      },
    )
  }
}
