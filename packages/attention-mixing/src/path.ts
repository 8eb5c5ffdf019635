import { defineAttention, fold, rows, type StateView, tail } from '@attune/attention'
import { array, type LinearSpec, linear } from '@attune/nn'
import { conv1dOf, scanOf, silu } from '@attune/ops'
import { AttuneError, dense, fill, mapWith, sum, type Tensor } from '@attune/tensor'
import { productsThrough, reflected, through } from './reflections.ts'
import { attendSlots } from './slot-scores.ts'
import { inChunks } from './step-chunks.ts'

/** Sizes and settings of PaTH: heads in numbers. */
export interface PathConfig {
  readonly dim: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Rank of what makes directions; absent: a full matrix, as the authors have it where key heads are shared. */
  readonly rank?: number
  /** Taps of the short convolution on directions; 3 by default. */
  readonly taps?: number
  /** Each query head forgets, by the sigmoid of the input: scores sink by what was forgotten between. https://arxiv.org/abs/2503.02130 */
  readonly forget?: boolean
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
  /** Absent where nothing is forgotten. */
  readonly forget: LinearSpec
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
  params({ dim, heads, kvHeads: g, headDim: d, rank, taps = 3, forget }: PathConfig): PathParams {
    const parts: Partial<PathParams> = {
      q: linear({ dim }, { h: heads, d }),
      k: linear({ dim }, { g, d }),
      v: linear({ dim }, { g, d }),
      ...((rank ? { inner: linear({ dim }, { rank }), w: linear({ rank }, { g, d }) } : { w: linear({ dim }, { g, d }) }) as Pick<
        PathParams,
        'inner' | 'w'
      >),
      taps: array([g * d, taps], { spread: 0.4 }),
      beta: linear({ dim }, { g }, true),
      ...(forget && { forget: linear({ dim }, { h: heads }, true) }),
      o: linear({ h: heads, d }, { dim }),
    }
    return parts as PathParams
  },
  state: ({ heads, kvHeads, headDim, taps = 3, forget }) => ({
    k: rows(kvHeads, headDim, { rewritten: true }),
    v: rows(kvHeads, headDim, { reads: ['whole'] }),
    w: tail(taps - 1, kvHeads * headDim),
    ...(forget && { kept: rows(heads, 1, { reads: ['whole'] }), sum: fold(heads, 1, 1) }),
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

    const kept = p.forget && logKept(p.forget(x), state)
    const past = state.append({ k, v, ...(kept && { kept }) })
    const group = heads / kvHeads
    const values = past.dense('v') // (B, G, S, d)
    let keys = past.dense('k')
    const out = inChunks(tokens, [heads, headDim], chunk => {
      const slots = { past, part: 'k', chunk, group: 1 }
      const r = { w: chunk.of(w), beta: chunk.of(beta.unsqueeze(2)) }
      const taken = through(r, keys, slots)
      const grouped = chunk.of(q).reshape([tokens.batchRows, kvHeads, group * chunk.size, headDim])
      const between = kept && { own: chunk.of(kept), past: past.dense('kept') }
      const products = mapWith(s => s.mul(headDim ** -0.5), [sunk(productsThrough(grouped, keys, r, taken), between)])
      keys = reflected(keys, r, taken)
      const mixed = attendSlots(products, values, { ...slots, group }, { mask, score })
      return mixed.reshape([tokens.batchRows, heads, chunk.size, headDim])
    })
    state.write('k', keys)
    return p.o(out)
  },
})

/** Sums over the past of the logarithm of what each head keeps, for gates (N, H): (N, H, 1). */
function logKept(gates: Tensor, state: StateView): Tensor {
  const log = mapWith(g => g.min(0).sub(g.abs().neg().exp().add(1).log()), [gates]).unsqueeze(2)
  const one = fill(1, log.shape)
  const { out, state: sum } = scanOf({ q: one, k: one, v: log, initial: state.read('sum'), offsets: state.tokens.offsets })
  state.write('sum', sum)
  return out
}

/** Scores (B, G, g · C, S) less what was forgotten since: sums of the tokens `own` (B, G · g, C, 1) and of slots `past` (B, G · g, S, 1). As the authors have it, before they are scaled. */
function sunk(scores: Tensor, between: { own: Tensor; past: Tensor } | undefined): Tensor {
  if (!between) return scores
  const [b, g, rows, s] = scores.shape as readonly number[]
  const size = between.own.shape[2] as number
  const perHead = [b, g, rows / size]
  return mapWith(
    (x, own, past) => x.add(own.sub(past)),
    [
      scores.reshape([...perHead, size, s]),
      dense(between.own).reshape([...perHead, size, 1]),
      dense(between.past).reshape([...perHead, 1, s]),
    ],
  ).reshape(scores.shape)
}

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
