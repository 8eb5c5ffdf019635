import { attend, defineAttention, fold, rows } from '@attune/attention'
import { k, q, s } from '@attune/expr'
import { array, linear, vector } from '@attune/nn'
import { concatOf } from '@attune/ops'
import { dense, fill, mapWith, type Tensor } from '@attune/tensor'
import { toLolcats } from './bridge-from-heads.ts'
import { hedgehog } from './feature-map.ts'
import { recur } from './recurrence.ts'

export interface LolcatsConfig {
  readonly dim: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Rows, the own one included, that softmax attends to. What leaves them goes into the fold. */
  readonly window: number
  /** Numbers per head out of the feature map's matrix, half of the features; `headDim` by default. */
  readonly featureDim?: number
  readonly bias?: boolean
  readonly outBias?: boolean
}

/** Far above 1, so that log Σ exp(sharp · s) / sharp is the largest s. */
const sharp = 2 ** 20

/**
 * LoLCATs: softmax over a window and Hedgehog linear attention over everything before it, under one normaliser. The row that leaves the
 * window enters the fold, once. Zhang et al. 2024, https://arxiv.org/abs/2410.10254
 */
export const lolcats = defineAttention('lolcats', {
  title: 'LoLCATs: window and linear attention',
  paper: 'https://arxiv.org/abs/2410.10254',
  family: 'linear',
  oracle: 'HazyResearch/lolcats: hybrid window attention',
  params({ dim, heads: h, kvHeads, headDim: d, featureDim = d, bias, outBias }: LolcatsConfig) {
    return {
      q: linear({ dim }, { h, d }, bias),
      k: linear({ dim }, { h: kvHeads, d }, bias),
      v: linear({ dim }, { h: kvHeads, d }, bias),
      o: linear({ h, d }, { dim }, outBias),
      /** Feature maps of queries and keys, a matrix per query head. */
      qFeatures: array([h, d, featureDim], { spread: 0.3 }),
      kFeatures: array([h, d, featureDim], { spread: 0.3 }),
      /** The window's share before the sigmoid, per query head. */
      windowFactor: vector(h, 0),
    }
  },
  state: ({ heads, kvHeads, headDim, featureDim = headDim }) => ({
    k: rows(kvHeads, headDim, { leaving: true, reads: ['by number'], rotary: true }),
    v: rows(kvHeads, headDim, { leaving: true, reads: ['by number'] }),
    s: fold(heads, 2 * featureDim, headDim + 1),
  }),
  forward({ x, params: p, position, state, mask, score, config: { heads, kvHeads, headDim, window } }) {
    const query = position.rotate(p.q(x)) // (N, H, d)
    const past = state.append({ k: position.rotate(p.k(x)), v: p.v(x) })
    const near = { mask: mask.and(q.row.sub(k.row).lt(window)), lse: true }
    const soft = attend(query, past, { ...near, score })
    const sharpened = attend(query, past, { ...near, score: (score ?? s).mul(sharp) })

    const { batch, row } = past.tokens
    const left = mapWith(r => r.sub(window).max(-1), [row], { dtype: 'i32' }) // −1: nothing has left yet
    const keys = hedgehog(perHead(past.at('k', batch, left), heads / kvHeads), p.kFeatures)
    const values = past.at('v', batch, left) // (N, kvHeads, d)
    const far = recur(state, {
      q: hedgehog(query, p.qFeatures),
      k: mapWith((f, r) => r.lt(0).select(0, f), [keys, left.unsqueeze(1).unsqueeze(2)]),
      v: concatOf(values, fill(1, [x.shape[0], kvHeads, 1])),
    }) // (N, H, d + 1): sums of weighted values and of weights

    const weight = mapWith(
      (lse, most, factor) => lse.sub(most.div(sharp)).exp().mul(factor.sigmoid()),
      [soft.lse!, sharpened.lse!, p.windowFactor],
    ).unsqueeze(2) // (N, H, 1)
    return p.o(
      mapWith(
        (y, w, sum, total) => y.mul(w).add(sum).div(w.add(total)),
        [soft.out, weight, far.slice(2, 0, headDim), far.slice(2, headDim, headDim + 1)],
      ),
    )
  },
  bridges: [toLolcats],
})

/** (N, n, d) → (N, n · times, d), each head repeated. */
function perHead(t: Tensor, times: number): Tensor {
  const [n, heads, d] = t.shape
  if (times === 1) return t
  const wide = t.unsqueeze(2).expand([n, heads, times, d])
  return dense(wide).reshape([n, (heads as number) * times, d])
}
