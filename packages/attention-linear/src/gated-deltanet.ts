import { defineAttention, fold } from '@attune/attention'
import { linear, vector } from '@attune/nn'
import { mapWith } from '@attune/tensor'
import { normThenGate, softplus, unit } from './gates.ts'
import { recur, wholePast } from './recurrence.ts'
import { shortConv, shortConvParams, shortConvState } from './short-conv.ts'

export interface GatedDeltaNetConfig {
  readonly dim: number
  /** Heads of queries and keys, of values and states (a multiple). */
  readonly keyHeads: number
  readonly valueHeads: number
  /** Numbers of a head's key and value. */
  readonly keyDim: number
  readonly valueDim: number
  /** Taps of the short convolutions on queries, keys and values; 4 by default. */
  readonly taps?: number
  readonly convBias?: boolean
  /** After the convolutions; silu by default. */
  readonly activation?: string
  /** Of the norm of each head's output; 1e-6 by default. */
  readonly eps?: number
}

/**
 * Gated DeltaNet: a state per head that decays by a gate of the input and is corrected towards each new value by the delta rule. Keys and
 * queries are short convolutions at length 1. Yang, Kautz & Hatamizadeh 2024, https://arxiv.org/abs/2412.06464; as in Qwen3-Next.
 */
export const gatedDeltanet = defineAttention('gated-deltanet', {
  title: 'Gated DeltaNet',
  paper: 'https://arxiv.org/abs/2412.06464',
  family: 'linear',
  oracle: 'transformers: Qwen3NextGatedDeltaNet',
  params({ dim, keyHeads, valueHeads, keyDim, valueDim, taps = 4, convBias }: GatedDeltaNetConfig) {
    const [keys, values] = [
      { h: keyHeads, d: keyDim },
      { h: valueHeads, d: valueDim },
    ]
    return {
      q: linear({ dim }, keys),
      k: linear({ dim }, keys),
      v: linear({ dim }, values),
      gate: linear({ dim }, values),
      /** Update strength, and what the decay is made from. */
      b: linear({ dim }, { h: valueHeads }),
      a: linear({ dim }, { h: valueHeads }),
      qConv: shortConvParams(keyHeads * keyDim, taps, convBias),
      kConv: shortConvParams(keyHeads * keyDim, taps, convBias),
      vConv: shortConvParams(valueHeads * valueDim, taps, convBias),
      aLog: vector(valueHeads, 0),
      dtBias: vector(valueHeads, 1),
      norm: vector(valueDim),
      o: linear(values, { dim }),
    }
  },
  state: ({ keyHeads, valueHeads, keyDim, valueDim, taps = 4 }) => ({
    q: shortConvState(keyHeads * keyDim, taps),
    k: shortConvState(keyHeads * keyDim, taps),
    v: shortConvState(valueHeads * valueDim, taps),
    s: fold(valueHeads, keyDim, valueDim),
  }),
  forward({ x, params: p, state, mask, score, config: { keyDim, activation: act = 'silu', eps = 1e-6 } }) {
    wholePast('gated-deltanet', { mask, score })
    const out = recur(
      state,
      {
        q: unit(shortConv(p.qConv, p.q(x), { state, name: 'q', act })),
        k: unit(shortConv(p.kConv, p.k(x), { state, name: 'k', act })),
        v: shortConv(p.vConv, p.v(x), { state, name: 'v', act }),
        decay: mapWith((a, bias, log) => softplus(a.add(bias)).mul(log.exp()).neg(), [p.a(x), p.dtBias, p.aLog]),
        beta: mapWith(b => b.sigmoid(), [p.b(x)]),
      },
      { rule: 'delta', scale: keyDim ** -0.5 },
    )
    return p.o(normThenGate(out, p.gate(x), p.norm, eps))
  },
})
