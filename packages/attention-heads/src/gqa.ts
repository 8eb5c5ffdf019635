import { attend, defineAttention, rows } from '@attune/attention'
import { linear } from '@attune/nn'
import { headBridges } from './bridges.ts'

export interface GqaConfig {
  readonly dim: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Biases on q, k and v. */
  readonly bias?: boolean
  readonly outBias?: boolean
  /** Key-value head that each query head reads; contiguous groups by default. */
  readonly headMap?: readonly number[]
}

/** Grouped-query attention: `heads / kvHeads` query heads read each key head. Ainslie et al. 2023, https://arxiv.org/abs/2305.13245 */
export const gqa = defineAttention('gqa', {
  title: 'Grouped-query attention',
  paper: 'https://arxiv.org/abs/2305.13245',
  family: 'heads',
  params: ({ dim, heads, kvHeads, headDim, bias = false, outBias = false }: GqaConfig) => ({
    q: linear({ dim }, { h: heads, d: headDim }, bias),
    k: linear({ dim }, { h: kvHeads, d: headDim }, bias),
    v: linear({ dim }, { h: kvHeads, d: headDim }, bias),
    o: linear({ h: heads, d: headDim }, { dim }, outBias),
  }),
  state: ({ kvHeads, headDim }) => ({ k: rows(kvHeads, headDim, { rotary: true }), v: rows(kvHeads, headDim) }),
  forward({ x, params: p, position, state, mask, score, config }) {
    const past = state.append({ k: position.rotate(p.k(x)), v: p.v(x) }) // (B, kvHeads, S, d)
    const q = position.rotate(p.q(x)) // (N, heads, d)
    return p.o(attend(q, past, { mask, score, keyHeads: config.headMap, valueHeads: config.headMap }).out)
  },
  bridges: headBridges,
})
