import { defineAttention, fold } from '@attune/attention'
import { linear, vector } from '@attune/nn'
import { mapWith } from '@attune/tensor'
import { gateThenNorm, softplus } from './gates.ts'
import { recur, wholePast } from './recurrence.ts'
import { shortConv, shortConvParams, shortConvState } from './short-conv.ts'

export interface Mamba2Config {
  readonly dim: number
  readonly heads: number
  readonly headDim: number
  /** Groups of heads that share B and C, and that the output is normed in. */
  readonly groups: number
  /** Numbers of B and C per group. */
  readonly stateDim: number
  /** Taps of the short convolutions; 4 by default. */
  readonly taps?: number
  readonly convBias?: boolean
  /** Biases of what goes in and of what comes out. */
  readonly bias?: boolean
  /** After the convolutions; silu by default. */
  readonly activation?: string
  /** Step sizes are kept within; absent: no limit. */
  readonly dtMin?: number
  readonly dtMax?: number
  /** Of the output's norm; 1e-5 by default. */
  readonly eps?: number
}

/**
 * Mamba-2: a state space model as linear attention: C reads as queries do, B writes as keys do, the inputs are values scaled by a step size
 * that also sets the decay. Dao & Gu 2024, https://arxiv.org/abs/2405.21060
 */
export const mamba2 = defineAttention('mamba2', {
  title: 'Mamba-2',
  paper: 'https://arxiv.org/abs/2405.21060',
  family: 'linear',
  oracle: 'transformers: Mamba2Mixer',
  params({ dim, heads, headDim, groups, stateDim, taps = 4, convBias = true, bias }: Mamba2Config) {
    const [inner, shared] = [
      { h: heads, d: headDim },
      { g: groups, n: stateDim },
    ]
    return {
      gate: linear({ dim }, inner, bias),
      x: linear({ dim }, inner, bias),
      b: linear({ dim }, shared, bias),
      c: linear({ dim }, shared, bias),
      dt: linear({ dim }, { h: heads }, bias),
      xConv: shortConvParams(heads * headDim, taps, convBias),
      bConv: shortConvParams(groups * stateDim, taps, convBias),
      cConv: shortConvParams(groups * stateDim, taps, convBias),
      aLog: vector(heads, 0),
      dtBias: vector(heads, 0),
      /** How much of each input goes past the state. */
      d: vector(heads),
      norm: vector(heads * headDim),
      o: linear(inner, { dim }, bias),
    }
  },
  state: ({ heads, headDim, groups, stateDim, taps = 4 }) => ({
    x: shortConvState(heads * headDim, taps),
    b: shortConvState(groups * stateDim, taps),
    c: shortConvState(groups * stateDim, taps),
    s: fold(heads, stateDim, headDim),
  }),
  forward({ x: input, params: p, state, mask, score, config: { groups, activation: act = 'silu', dtMin, dtMax, eps = 1e-5 } }) {
    wholePast('mamba2', { mask, score })
    const x = shortConv(p.xConv, p.x(input), { state, name: 'x', act }) // (N, H, d)
    const dt = mapWith(
      (step, bias) => {
        const free = softplus(step.add(bias))
        const above = dtMin ? free.max(dtMin) : free
        return dtMax !== undefined && dtMax < Infinity ? above.min(dtMax) : above
      },
      [p.dt(input), p.dtBias],
    ) // (N, H)
    const out = recur(state, {
      q: shortConv(p.cConv, p.c(input), { state, name: 'c', act }),
      k: shortConv(p.bConv, p.b(input), { state, name: 'b', act }),
      v: mapWith((y, step) => y.mul(step), [x, dt.unsqueeze(2)]),
      decay: mapWith((step, log) => step.mul(log.exp()).neg(), [dt, p.aLog]),
    })
    const skipped = mapWith((y, u, d) => y.add(u.mul(d)), [out, x, p.d.unsqueeze(1)])
    return p.o(gateThenNorm(skipped, p.gate(input), p.norm, eps, groups))
  },
})
