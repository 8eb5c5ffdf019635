import { type Bridge, type BridgeInput, bridge } from '@attune/attention'
import { AttuneError, isCodec } from '@attune/tensor'
import type { GqaConfig } from './gqa.ts'
import { members } from './head-family.ts'
import { type HeadLayout, headLayout } from './head-layout.ts'

export type Rotary = NonNullable<BridgeInput['rotary']>

/** One way of changing the heads of a layer, whatever the names of source and target. */
export interface Method extends Pick<Bridge, 'name' | 'exactness' | 'paper' | 'needs'> {
  /** Options it knows, with their allowed values. */
  readonly options?: Readonly<Record<string, readonly unknown[]>>
  /** Parameters beside q, k, v and o stay as they are. */
  readonly keepsOthers?: boolean
  why?(from: HeadLayout, to: HeadLayout, input: Pick<BridgeInput, 'from' | 'params' | 'rotary' | 'options'>): string | undefined
  params(from: HeadLayout, to: HeadLayout, input: BridgeInput): ReturnType<Bridge['params']>
}

/** A method as bridges between the members of the family for which it makes sense. */
export function bridgesFor(method: Method, pairs: readonly (readonly [from: string, to: string])[]): Bridge[] {
  return pairs.map(([fromName, toName]) => {
    const [from, to] = [fromName, toName].map(n => members.find(m => m.name === n)!)
    const { why, params, options: _, keepsOthers = false, ...about } = method
    const layouts = (input: { from: unknown; to: unknown }) => [headLayout(from.read(input.from)), headLayout(to.read(input.to))] as const
    const whyNot: NonNullable<Bridge['why']> = input => {
      const [a, b] = layouts(input)
      return (
        whyShapes(from.read(input.from), to.read(input.to), input, keepsOthers) ?? whyOptions(method, input.options) ?? why?.(a, b, input)
      )
    }
    return bridge({
      ...about,
      from: fromName,
      to: toName,
      config: (config, wish) => to.wish(from.read(config), wish as Readonly<Record<string, unknown>>),
      why: whyNot,
      async params(input) {
        const [a, b] = layouts(input)
        const reason = whyNot(input)
        if (reason)
          throw new AttuneError('ERR_CONVERSION', `${fromName} to ${toName} by ${method.name}: ${reason}`, { bridge: method.name })
        if (method.needs === 'calibration' && input.calibration?.gram.length !== (a.dim + 1) ** 2)
          throw new AttuneError('ERR_ARGUMENT', `${method.name} needs calibration: a Gram matrix of ${a.dim + 1}²`, { dim: a.dim })
        return params(a, b, input)
      },
    })
  })
}

/** An option's value: the first allowed one by default. */
export const optionOf = <T>(method: Method, name: string, options: BridgeInput['options']): T =>
  (options?.[name] ?? method.options?.[name][0]) as T

/** Why keys may not be changed per rotary pair. */
export function whyRotary({ headDim }: HeadLayout, rotary: Rotary | undefined): string | undefined {
  if (!rotary) return undefined
  const { dims } = rotary
  if (dims % 2 !== 0 || dims > headDim || (headDim - dims) % 2 !== 0)
    return `rotary dims ${dims} and headDim ${headDim} do not split into whole pairs`
  return undefined
}

function whyShapes(from: GqaConfig, to: GqaConfig, { params }: Pick<BridgeInput, 'params'>, keepsOthers: boolean): string | undefined {
  for (const key of ['dim', 'heads', 'headDim'] as const)
    if (from[key] !== to[key]) return `${key} would change from ${from[key]} to ${to[key]}`
  for (const key of ['bias', 'outBias'] as const)
    if ((from[key] ?? false) !== (to[key] ?? false)) return `${key} would change from ${from[key] ?? false} to ${to[key] ?? false}`
  const other = keepsOthers ? undefined : [...params.keys()].find(name => !['q', 'k', 'v', 'o'].includes(name))
  if (other) return `parameter '${other}' acts on the heads too, and this bridge only knows q, k, v and o`
  for (const name of ['k', 'v']) {
    const { dtype, shape } = params.get(name)!.weight
    if (isCodec(dtype) && shape[1] % dtype.block !== 0)
      return `rows of ${name} hold ${shape[1]} numbers, not whole ${dtype.name} blocks of ${dtype.block}`
  }
  return undefined
}

function whyOptions(method: Method, options: BridgeInput['options'] = {}): string | undefined {
  for (const [name, value] of Object.entries(options)) {
    const allowed = method.options?.[name]
    if (value === undefined) continue
    if (!allowed) return `it has no option '${name}' (known: ${Object.keys(method.options ?? {}).join(', ') || 'none'})`
    if (!allowed.includes(value))
      return `option ${name} is ${JSON.stringify(value)}, not one of ${allowed.map(v => JSON.stringify(v)).join(', ')}`
  }
  return undefined
}
