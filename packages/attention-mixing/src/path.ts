import { defineAttention, rows, tail } from '@attune/attention'
import { array, type LinearSpec, linear } from '@attune/nn'
import { conv1dOf, silu } from '@attune/ops'
import { AttuneError, dense, mapWith, sum, type Tensor } from '@attune/tensor'
import { productsThrough, reflected, through } from './reflections.ts'
import { attendSlots } from './slot-scores.ts'
import { inChunks } from './step-chunks.ts'

export interface PathConfig {
  readonly dim: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Rank of what makes directions; absent: a full matrix, as the authors have it where key heads are shared. */
  readonly rank?: number
  /** Taps of the short convolution on directions; 3 by default. */
  readonly taps?: number
}
type PathParams = {
  readonly q: LinearSpec
  readonly k: LinearSpec
  readonly v: LinearSpec
  readonly o: LinearSpec
  readonly w: LinearSpec
  readonly inner: LinearSpec
  readonly taps: ReturnType<typeof array>
  readonly beta: LinearSpec
}

/**
 * PaTH: a query meets a key through the reflections I − β w wᵀ of all tokens between them, which the input makes; they are its positions.
 * Every past key is rewritten at each step, k ← k − β (k·w) w. Yang et al. 2025, https://arxiv.org/abs/2505.16381
 */
export const path = defineAttention('path', {
  title: 'Position encoding by accumulated Householder products',
  paper: 'https://arxiv.org/abs/2505.16381',
  family: 'mixing',
  oracle: 'flash-linear-attention: naive_path_attn',
  params({ dim, heads, kvHeads: g, headDim: d, rank, taps = 3 }: PathConfig): PathParams {
    return {
      q: linear({ dim }, { h: heads, d }),
      k: linear({ dim }, { g, d }),
      v: linear({ dim }, { g, d }),
      ...((rank ? { inner: linear({ dim }, { rank }), w: linear({ rank }, { g, d }) } : { w: linear({ dim }, { g, d }) }) as Pick<
        PathParams,
        'inner' | 'w'
      >),
      taps: array([g * d, taps], { spread: 0.4 }),
      beta: linear({ dim }, { g }, true),
      o: linear({ h: heads, d }, { dim }),
    }
  },
  state: ({ kvHeads, headDim, taps = 3 }) => ({
    k: rows(kvHeads, headDim, { rewritten: true }),
    v: rows(kvHeads, headDim, { reads: ['whole'] }),
    w: tail(taps - 1, kvHeads * headDim),
  }),
  forward({ x, params: p, position, state, mask, score, config: { heads, kvHeads, headDim } }) {
    const { tokens } = state
    const [q, k, v] = [p.q(x), p.k(x), p.v(x)]
    if (position.rotate(q) !== q)
      throw new AttuneError('ERR_UNSUPPORTED', "PaTH's reflections are its positions: queries and keys cannot be turned too", {})
    const made = dense(p.w(p.inner ? p.inner(x) : x)).reshape([x.shape[0], kvHeads * headDim])
    const conv = conv1dOf({ x: made, weight: p.taps, tail: state.read('w'), offsets: tokens.offsets })
    state.write('w', conv.tail)
    const w = unit(mapWith(silu, [conv.out]).reshape(k.shape))
    const beta = mapWith(b => b.sigmoid().mul(2), [p.beta(x)])

    const past = state.append({ k, v })
    const group = heads / kvHeads
    const values = past.dense('v') // (B, G, S, d)
    let keys = past.dense('k')
    const out = inChunks(tokens, [heads, headDim], chunk => {
      const slots = { past, part: 'k', chunk, group: 1 }
      const r = { w: chunk.of(w), beta: chunk.of(beta.unsqueeze(2)) }
      const taken = through(r, keys, slots)
      const grouped = chunk.of(q).reshape([tokens.batchRows, kvHeads, group * chunk.size, headDim])
      const products = mapWith(s => s.mul(headDim ** -0.5), [productsThrough(grouped, keys, r, taken)])
      keys = reflected(keys, r, taken)
      const mixed = attendSlots(products, values, { ...slots, group }, { mask, score })
      return mixed.reshape([tokens.batchRows, heads, chunk.size, headDim])
    })
    state.write('k', keys)
    return p.o(out)
  },
})

/** Vectors along the last axis at length 1. */
const unit = (x: Tensor): Tensor =>
  mapWith(
    (a, s) => a.div(s.add(1e-6).sqrt()),
    [
      x,
      sum(
        mapWith(a => a.mul(a), [x]),
        -1,
        true,
      ),
    ],
  )
