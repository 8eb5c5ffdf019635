import { defineAttention, fold } from '@attune/attention'
import { linear as matrix } from '@attune/nn'
import { concatOf } from '@attune/ops'
import { fill, mapWith } from '@attune/tensor'
import { toLinear } from './bridge-from-heads.ts'
import { feature } from './feature-map.ts'
import { recur, wholePast } from './recurrence.ts'

export interface LinearConfig {
  readonly dim: number
  readonly heads: number
  /** Heads of keys, values and states; as many as `heads` by default. */
  readonly kvHeads?: number
  readonly headDim: number
  readonly bias?: boolean
  readonly outBias?: boolean
  /** elu (+ 1, the default), relu, exp or identity. */
  readonly feature?: string
  /** Divides by the sum of weights, as softmax does; on by default. */
  readonly normalise?: boolean
}

/**
 * Linear attention: softmax's exponential becomes a product of feature maps, so the past is one matrix per head, and the sum of weights one
 * more column of it. Katharopoulos et al. 2020, https://arxiv.org/abs/2006.16236
 */
export const linear = defineAttention('linear', {
  title: 'Linear attention',
  paper: 'https://arxiv.org/abs/2006.16236',
  family: 'linear',
  oracle: 'flash-linear-attention: naive linear attention',
  params: ({ dim, heads: h, kvHeads = h, headDim: d, bias, outBias }: LinearConfig) => ({
    q: matrix({ dim }, { h, d }, bias),
    k: matrix({ dim }, { h: kvHeads, d }, bias),
    v: matrix({ dim }, { h: kvHeads, d }, bias),
    o: matrix({ h, d }, { dim }, outBias),
  }),
  state: ({ heads, kvHeads = heads, headDim, normalise = true }) => ({ s: fold(kvHeads, headDim, headDim + (normalise ? 1 : 0)) }),
  forward({
    x,
    params: p,
    position,
    state,
    mask,
    score,
    config: { heads, kvHeads = heads, headDim, feature: map = 'elu', normalise = true },
  }) {
    wholePast('linear', { mask, score })
    const f = feature(map)
    const q = mapWith(f, [position.rotate(p.q(x))])
    const k = mapWith(f, [position.rotate(p.k(x))])
    const v = p.v(x)
    if (!normalise) return p.o(recur(state, { q, k, v }, { scale: headDim ** -0.5 }))
    const out = recur(state, { q, k, v: concatOf(v, fill(1, [x.shape[0], kvHeads, 1])) }) // (N, H, d + 1)
    return p.o(mapWith((y, total) => y.div(total.add(1e-10)), [out.slice(2, 0, headDim), out.slice(2, headDim, headDim + 1)]))
  },
  bridges: [toLinear],
})
