import { type Bridge, type BridgeInput, bridge } from '@attune/attention'
import type { ParamValue } from '@attune/nn'
import { AttuneError, Constant } from '@attune/tensor'
import type { LinearConfig } from './linear.ts'
import type { LolcatsConfig } from './lolcats.ts'

/** What a softmax layer of grouped heads says of itself. */
interface Grouped {
  readonly dim: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly bias?: boolean
  readonly outBias?: boolean
}
const KEYS = ['dim', 'heads', 'kvHeads', 'headDim', 'bias', 'outBias'] as const

/** Why a layer is more than projections and softmax, or undefined. */
const whyMore = ({ from, params }: Pick<BridgeInput<Grouped>, 'from' | 'params'>): string | undefined => {
  const key = Object.keys(from).find(k => !(KEYS as readonly string[]).includes(k) && (from as unknown as Record<string, unknown>)[k])
  if (key) return `its ${key} has no place in the other's scores`
  const other = [...params.keys()].find(name => !['q', 'k', 'v', 'o'].includes(name))
  return other && `parameter '${other}' has no place there`
}
const shared = (from: Grouped): Grouped =>
  Object.fromEntries(KEYS.flatMap(k => (from[k] === undefined ? [] : [[k, from[k]]]))) as unknown as Grouped

/** A bridge that copies q, k, v and o and begins the rest. What softmax did must be learned again. */
function linearised<C extends object>(
  to: string,
  defaults: (from: Grouped) => Partial<C>,
  begin: (config: C) => Readonly<Record<string, ParamValue>>,
  paper: string,
): Bridge<Grouped, C> {
  return bridge<Grouped, C>({
    name: 'copy',
    from: 'gqa',
    to,
    exactness: 'needs-training',
    paper,
    why: whyMore,
    config: (from, wish) => ({ ...defaults(from), ...wish, ...shared(from) }) as C,
    async params(input) {
      const why = whyMore(input)
      if (why) throw new AttuneError('ERR_CONVERSION', `gqa to ${to} by copy: ${why}`, { bridge: 'copy' })
      return new Map([...input.params, ...Object.entries(begin(input.to))])
    },
  })
}

/** LoLCATs begins as the layer it replaces while the window holds everything; features begin as softmax of the keys themselves. */
export const toLolcats = linearised<LolcatsConfig>(
  'lolcats',
  ({ headDim }) => ({ window: 64, featureDim: headDim }),
  ({ heads, headDim, featureDim = headDim }) => {
    const same = numbers([heads, headDim, featureDim], (_, i, j) => (i === j ? 1 : 0))
    return { qFeatures: same, kFeatures: same, windowFactor: numbers([heads], () => 0) }
  },
  'https://arxiv.org/abs/2410.10254',
)

/** Linear attention with the softmax layer's projections, as T2R begins. Kasai et al. 2021 */
export const toLinear = linearised<LinearConfig>(
  'linear',
  () => ({}),
  () => ({}),
  'https://arxiv.org/abs/2103.13076',
)

function numbers(shape: readonly number[], f: (...at: number[]) => number): ParamValue {
  const size = shape.reduce((a, b) => a * b, 1)
  const values = Float32Array.from({ length: size }, (_, flat) => {
    const at = shape.map((d, a) => Math.floor(flat / shape.slice(a + 1).reduce((x, y) => x * y, 1)) % d)
    return f(...at)
  })
  return { weight: new Constant('f32', shape, new Uint8Array(values.buffer)) }
}
