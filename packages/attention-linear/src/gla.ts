import { defineAttention, fold } from '@attune/attention'
import { linear, vector } from '@attune/nn'
import { mapWith } from '@attune/tensor'
import { logSigmoid, normThenGate } from './gates.ts'
import { recur, wholePast } from './recurrence.ts'

export interface GlaConfig {
  readonly dim: number
  readonly heads: number
  /** Numbers of a head's key and value. */
  readonly keyDim: number
  readonly valueDim: number
  /** Width of the vector that decays are made from; 16 by default. */
  readonly gateRank?: number
  /** Log decays are log σ(gate) divided by this; 16 by default. */
  readonly gateNormaliser?: number
  /** Of the norm of each head's output; 1e-5 by default. */
  readonly eps?: number
}

/** Gated linear attention: every key channel decays by a gate of the input. Yang et al. 2023, https://arxiv.org/abs/2312.06635 */
export const gla = defineAttention('gla', {
  title: 'Gated linear attention',
  paper: 'https://arxiv.org/abs/2312.06635',
  family: 'linear',
  oracle: 'flash-linear-attention: naive_recurrent_gla',
  params: ({ dim, heads: h, keyDim, valueDim, gateRank: r = 16 }: GlaConfig) => ({
    q: linear({ dim }, { h, d: keyDim }),
    k: linear({ dim }, { h, d: keyDim }),
    v: linear({ dim }, { h, d: valueDim }),
    gate: linear({ dim }, { h, d: valueDim }),
    decayDown: linear({ dim }, { r }),
    decayUp: linear({ r }, { h, d: keyDim }, true),
    norm: vector(valueDim),
    o: linear({ h, d: valueDim }, { dim }),
  }),
  state: ({ heads, keyDim, valueDim }) => ({ s: fold(heads, keyDim, valueDim) }),
  forward({ x, params: p, state, mask, score, config: { keyDim, gateNormaliser = 16, eps = 1e-5 } }) {
    wholePast('gla', { mask, score })
    const decay = mapWith(g => logSigmoid(g).div(gateNormaliser), [p.decayUp(p.decayDown(x))]) // (N, H, keyDim)
    const out = recur(state, { q: p.q(x), k: p.k(x), v: p.v(x), decay }, { scale: keyDim ** -0.5 })
    return p.o(normThenGate(out, p.gate(x), p.norm, eps))
  },
})
