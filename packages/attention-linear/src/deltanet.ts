import { defineAttention, fold } from '@attune/attention'
import { linear, vector } from '@attune/nn'
import { rmsNormOf } from '@attune/ops'
import { mapWith } from '@attune/tensor'
import { unit } from './gates.ts'
import { recur, wholePast } from './recurrence.ts'
import { shortConv, shortConvParams, shortConvState } from './short-conv.ts'

export interface DeltaNetConfig {
  readonly dim: number
  readonly heads: number
  /** Numbers of a head's key and value. */
  readonly keyDim: number
  readonly valueDim: number
  /** Taps of the short convolutions on queries, keys and values; 4 by default. */
  readonly taps?: number
  /** Of the norm of each head's output; 1e-5 by default. */
  readonly eps?: number
}

/**
 * DeltaNet: linear attention that replaces, by a learned share, what the state held for a key instead of adding to it. Schlag et al. 2021,
 * https://arxiv.org/abs/2102.11174; with short convolutions and unit keys as in https://arxiv.org/abs/2406.06484
 */
export const deltanet = defineAttention('deltanet', {
  title: 'DeltaNet',
  paper: 'https://arxiv.org/abs/2406.06484',
  family: 'linear',
  oracle: 'flash-linear-attention: naive delta rule',
  params: ({ dim, heads: h, keyDim, valueDim, taps = 4 }: DeltaNetConfig) => ({
    q: linear({ dim }, { h, d: keyDim }),
    k: linear({ dim }, { h, d: keyDim }),
    v: linear({ dim }, { h, d: valueDim }),
    b: linear({ dim }, { h }),
    qConv: shortConvParams(h * keyDim, taps),
    kConv: shortConvParams(h * keyDim, taps),
    vConv: shortConvParams(h * valueDim, taps),
    norm: vector(valueDim),
    o: linear({ h, d: valueDim }, { dim }),
  }),
  state: ({ heads, keyDim, valueDim, taps = 4 }) => ({
    q: shortConvState(heads * keyDim, taps),
    k: shortConvState(heads * keyDim, taps),
    v: shortConvState(heads * valueDim, taps),
    s: fold(heads, keyDim, valueDim),
  }),
  forward({ x, params: p, state, mask, score, config: { keyDim, eps = 1e-5 } }) {
    wholePast('deltanet', { mask, score })
    const act = 'silu'
    const out = recur(
      state,
      {
        q: unit(shortConv(p.qConv, p.q(x), { state, name: 'q', act })),
        k: unit(shortConv(p.kConv, p.k(x), { state, name: 'k', act })),
        v: shortConv(p.vConv, p.v(x), { state, name: 'v', act }),
        beta: mapWith(b => b.sigmoid(), [p.b(x)]),
      },
      { rule: 'delta', scale: keyDim ** -0.5 },
    )
    return p.o(rmsNormOf(out, p.norm, eps))
  },
})
