import { attend, borrow, defineAttention, rows } from '@attune/attention'
import { type LinearSpec, linear } from '@attune/nn'

export interface ClaConfig {
  readonly dim: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Earlier layer whose keys and values this one reads; it makes its own where absent. */
  readonly owner?: number
  /** Biases on q, k and v. */
  readonly bias?: boolean
  readonly outBias?: boolean
}
/** Layers that borrow have no k and v. */
export type ClaParams = { readonly q: LinearSpec; readonly k: LinearSpec; readonly v: LinearSpec; readonly o: LinearSpec }

/** Cross-layer attention: a layer reads the keys and values that an earlier one made. Brandon et al. 2024, https://arxiv.org/abs/2405.12981 */
export const cla = defineAttention('cla', {
  title: 'Cross-layer attention',
  paper: 'https://arxiv.org/abs/2405.12981',
  family: 'heads',
  oracle: 'float64 NumPy transcription of the paper (internal/oracles/cla.py)',
  params({ dim, heads, kvHeads, headDim, owner, bias, outBias }: ClaConfig): ClaParams {
    const keysAndValues = {
      k: linear({ dim }, { h: kvHeads, d: headDim }, bias),
      v: linear({ dim }, { h: kvHeads, d: headDim }, bias),
    }
    const own = { q: linear({ dim }, { h: heads, d: headDim }, bias), o: linear({ h: heads, d: headDim }, { dim }, outBias) }
    return (owner === undefined ? { ...own, ...keysAndValues } : own) as ClaParams
  },
  state: ({ kvHeads, headDim, owner }) =>
    owner === undefined
      ? { k: rows(kvHeads, headDim, { rotary: true }), v: rows(kvHeads, headDim) }
      : { k: borrow(owner, 'k'), v: borrow(owner, 'v') },
  forward({ x, params: p, position, state, mask, score, config }) {
    const past = state.append(config.owner === undefined ? { k: position.rotate(p.k(x)), v: p.v(x) } : {})
    return p.o(attend(position.rotate(p.q(x)), past, { mask, score }).out)
  },
})
