import { defineAttention, rows, type StateView, tail } from '@attune/attention'
import { type GqaConfig, gqa } from '@attune/attention-heads'
import { table, variable } from '@attune/expr'
import { type ArraySpec, array, type LinearSpec, linear, type VectorSpec, vector } from '@attune/nn'
import { concatOf, conv1dOf, groupedHeads, rmsNormOf } from '@attune/ops'
import { AttuneError, dense, mapExpr, mapWith, type Tensor } from '@attune/tensor'
import { mixOver } from './attend-mixed.ts'
import { identity, numbers, unit } from './bridge-identity.ts'

/** Sizes of multi-token attention: heads in numbers, convolutions in rows and heads. */
export interface MtaConfig extends Pick<GqaConfig, 'dim' | 'heads' | 'kvHeads' | 'headDim'> {
  /** Logits are convolved over the last `queryTaps` queries and `keyTaps` (odd) neighbouring keys, per head. */
  readonly queryTaps?: number
  readonly keyTaps?: number
  /** Logits are mixed over all heads before the softmax. */
  readonly mixLogits?: boolean
  /** Weights are mixed inside groups of so many heads after the softmax. */
  readonly headGroup?: number
  /** Each head's output is normed, with one gain for all. */
  readonly norm?: boolean
  /** Each head's output is scaled by a sigmoid of itself. */
  readonly gate?: boolean
}
/** Parts that the config does not ask for are absent. */
type MtaParams = {
  readonly q: LinearSpec
  readonly k: LinearSpec
  readonly v: LinearSpec
  readonly o: LinearSpec
  readonly taps: ArraySpec
  readonly before: ArraySpec
  readonly after: ArraySpec
  readonly norm: VectorSpec
  readonly gate: LinearSpec
}
const plain: MtaConfig = { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }

/**
 * Multi-token attention: an attention weight depends on several queries, keys and heads, by a convolution over logits and mixes over
 * heads. Without any of them it is `gqa`. Golovneva et al. 2025, https://arxiv.org/abs/2504.00927
 */
export const mta = defineAttention('mta', {
  title: 'Multi-token attention',
  paper: 'https://arxiv.org/abs/2504.00927',
  family: 'mixing',
  oracle: 'facebookresearch/RAM: projects/mta Attention',
  params(config: MtaConfig): MtaParams {
    const { dim, heads, kvHeads, headDim: d, queryTaps, keyTaps = 1, mixLogits, headGroup, norm, gate } = checked(config)
    const parts: Partial<MtaParams> = {
      q: linear({ dim }, { h: heads, d }),
      k: linear({ dim }, { h: kvHeads, d }),
      v: linear({ dim }, { h: kvHeads, d }),
      o: linear({ h: heads, d }, { dim }),
      ...(queryTaps && { taps: array([heads, queryTaps, keyTaps], { spread: 0.3 }) }),
      ...(mixLogits && { before: array([heads, heads], { spread: 0.5 }) }),
      ...(headGroup && { after: array([heads / headGroup, headGroup, headGroup], { spread: 0.5 }) }),
      ...(norm && { norm: vector(d) }),
      ...(gate && { gate: linear({ d }, { one: 1 }, true) }),
    }
    return parts as MtaParams
  },
  state: ({ heads, kvHeads, headDim, queryTaps }) => ({
    k: rows(kvHeads, headDim, { rotary: true, reads: queryTaps ? ['whole', 'in order'] : ['whole'] }),
    v: rows(kvHeads, headDim, { reads: ['whole'] }),
    ...(queryTaps && queryTaps > 1 && { q: tail(queryTaps - 1, heads * headDim) }),
  }),
  forward({ x, params: p, position, state, mask, score, config }) {
    const { heads, kvHeads, headDim, queryTaps = 1 } = config
    const past = state.append({ k: position.rotate(p.k(x)), v: p.v(x) })
    if (p.taps && past.rows?.k)
      throw new AttuneError('ERR_UNSUPPORTED', 'mta convolves over neighbouring keys: it needs a cache that keeps all rows in order', {})
    const map = groupedHeads(heads, kvHeads)
    const out = mixOver(past, {
      ...{ q: withEarlier(position.rotate(p.q(x)), state, queryTaps) },
      ...{ keyHeads: map, valueHeads: map, taps: p.taps, before: p.before, after: p.after && blockDiagonal(p.after, heads) },
      ...{ scale: headDim ** -0.5, mask, score },
    })
    const normed = p.norm ? rmsNormOf(out, p.norm, 1e-5) : out
    return p.o(p.gate ? mapWith((y, g) => y.mul(g.sigmoid()), [normed, p.gate(normed)]) : normed)
  },
  limits: [[plain, gqa, plain]],
  bridges: [
    identity<MtaConfig>({
      from: 'gqa',
      to: 'mta',
      paper: 'https://arxiv.org/abs/2504.00927',
      config: ({ dim, heads, kvHeads = heads, headDim }, wish) => {
        const { queryTaps = 6, keyTaps = 11, mixLogits = true, headGroup = heads } = wish
        return { dim, heads, kvHeads, headDim, queryTaps, keyTaps, mixLogits, headGroup }
      },
      begin: ({ heads, queryTaps = 1, keyTaps = 1, mixLogits, headGroup = 1 }) => ({
        taps: numbers([heads, queryTaps, keyTaps], (_, a, t) => (a === queryTaps - 1 && 2 * t === keyTaps - 1 ? 1 : 0)),
        ...(mixLogits && { before: unit(heads) }),
        after: numbers([heads / headGroup, headGroup, headGroup], (_, i, j) => (i === j ? 1 : 0)),
      }),
    }),
  ],
})

/** Queries (N, H, d) of each token and of the `taps` − 1 before it: (N, taps · H, d). */
function withEarlier(q: Tensor, state: StateView, taps: number): Tensor {
  if (taps === 1) return q
  const [n, heads, d] = q.shape
  const channels = (heads as number) * (d as number)
  const x = dense(q).reshape([n, channels])
  const before = state.read('q')
  const shifted = (back: number) => {
    const only = mapExpr(variable('i1', 'i32').eq(taps - 1 - back).select(1, 0).f32(), [], { dtype: 'f32', shape: [channels, taps] }) // biome-ignore format: one line
    return conv1dOf({ x, weight: only, tail: before, offsets: state.tokens.offsets })
  }
  const each = Array.from({ length: taps }, (_, back) => shifted(back))
  state.write('q', each[0].tail)
  return concatOf(...each.map(e => e.out)).reshape([n, taps * (heads as number), d])
}

/** Mixes of groups of heads (groups, from, to) as one of all heads (to, from). */
function blockDiagonal(groups: Tensor, heads: number): Tensor {
  const size = groups.shape[1] as number
  const [to, from] = ['i0', 'i1'].map(name => variable(name, 'i32'))
  const own = table(groups, { dtype: 'f32', rank: 3 }).at(to.idiv(size), from.mod(size), to.mod(size))
  return mapExpr(to.idiv(size).eq(from.idiv(size)).select(own, 0), [], { dtype: 'f32', shape: [heads, heads] })
}

function checked(config: MtaConfig): MtaConfig {
  const { heads, queryTaps, keyTaps = 1, headGroup = 1 } = config
  if ((queryTaps !== undefined && !(queryTaps >= 1)) || keyTaps % 2 !== 1 || heads % headGroup !== 0)
    throw new AttuneError(
      'ERR_ARGUMENT',
      `mta: queryTaps ${queryTaps} must be at least 1, keyTaps ${keyTaps} odd, heads ${heads} a multiple of headGroup ${headGroup}`,
      { config },
    )
  return config
}
