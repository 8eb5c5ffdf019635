import { type Bridge, type BridgeInput, bridge } from '@attune/attention'
import type { ParamValue } from '@attune/nn'
import { AttuneError, Constant, product } from '@attune/tensor'

/** What plain heads say of themselves; anything more has no place in these variants. */
interface Plain {
  readonly dim: number
  readonly heads: number
  readonly kvHeads?: number
  readonly headDim: number
}
const KEYS = ['dim', 'heads', 'kvHeads', 'headDim']

export interface Identity<C> {
  readonly from: 'mha' | 'gqa'
  readonly to: string
  readonly paper: string
  readonly config: (from: Plain, wish: Partial<C>) => C
  /** Parameters that the source does not have, such that they change nothing. */
  readonly begin: (config: C) => Readonly<Record<string, ParamValue>>
  readonly turned?: boolean
}

/** A variant that begins as the heads it replaces, number for number: its mixes as identities, its additions as zeros. */
export function identity<C>({ from, to, paper, config, begin, turned = true }: Identity<C>): Bridge<Plain, C> {
  const why = (x: Pick<BridgeInput<Plain>, 'from' | 'params' | 'rotary'>): string | undefined => {
    const key = Object.keys(x.from).find(k => !KEYS.includes(k) && (x.from as unknown as Record<string, unknown>)[k])
    if (key) return `its ${key} has no place there`
    if (x.rotary && !turned) return 'rotary positions turn queries and keys, which it has no place for'
    const other = [...x.params].find(([name, p]) => !['q', 'k', 'v', 'o'].includes(name) || p.bias)
    return other && `parameter '${other[0]}'${other[1].bias ? ' with a bias' : ''} has no place there`
  }
  return bridge<Plain, C>({
    ...{ name: 'identity', from, to, exactness: 'exact', paper, oracle: 'the layer itself', why, config },
    async params(input) {
      const reason = why(input)
      if (reason) throw new AttuneError('ERR_CONVERSION', `${from} to ${to} by identity: ${reason}`, { bridge: 'identity' })
      return new Map([...input.params, ...Object.entries(begin(input.to))])
    },
  })
}

/** A parameter of this shape by its indices. */
export function numbers(shape: readonly number[], f: (...at: number[]) => number): ParamValue {
  const values = Float32Array.from({ length: product(shape) }, (_, flat) => {
    let rest = flat
    const at = shape.map(() => 0)
    for (let a = shape.length - 1; a >= 0; a--) {
      at[a] = rest % shape[a]
      rest = Math.floor(rest / shape[a])
    }
    return f(...at)
  })
  return { weight: new Constant('f32', shape, new Uint8Array(values.buffer)) }
}
export const unit = (n: number): ParamValue => numbers([n, n], (i, j) => (i === j ? 1 : 0))
