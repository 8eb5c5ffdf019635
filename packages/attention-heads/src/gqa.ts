import { type AttendPastOptions, attend, defineAttention, type ForwardContext, type Past, rows } from '@attune/attention'
import { chain } from '@attune/expr'
import { type LinearSpec, linear, type NormParams, type NormSpec, norm, normParams, type VectorSpec, vector } from '@attune/nn'
import { mapWith, type Tensor } from '@attune/tensor'
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
  /** Factor on the scores; headDim^−½ by default. */
  readonly scale?: number
  /** A learned logit per query head that takes weight but gives no value. https://arxiv.org/abs/2309.17453 */
  readonly sink?: boolean
  /** Queries and keys are normed per head before they are turned. https://arxiv.org/abs/2302.05442 */
  readonly qkNorm?: NormSpec
  /** Each number of the heads' outputs is scaled by a sigmoid of the input. https://arxiv.org/abs/2505.06708 */
  readonly gate?: boolean
}
/** Parts that the config does not ask for are absent. */
export type GqaParams = {
  readonly q: LinearSpec
  readonly k: LinearSpec
  readonly v: LinearSpec
  readonly o: LinearSpec
  readonly sink: VectorSpec
  readonly qNorm: NormParams
  readonly kNorm: NormParams
  readonly gate: LinearSpec
}

/** Grouped-query attention: `heads / kvHeads` query heads read each key head. Ainslie et al. 2023, https://arxiv.org/abs/2305.13245 */
export const gqa = defineAttention('gqa', {
  title: 'Grouped-query attention',
  paper: 'https://arxiv.org/abs/2305.13245',
  family: 'heads',
  oracle: 'transformers: logits of tiny Llama checkpoints',
  params({ dim, heads, kvHeads, headDim, bias, outBias, sink, qkNorm, gate }: GqaConfig): GqaParams {
    const parts: Partial<GqaParams> = {
      q: linear({ dim }, { h: heads, d: headDim }, bias),
      k: linear({ dim }, { h: kvHeads, d: headDim }, bias),
      v: linear({ dim }, { h: kvHeads, d: headDim }, bias),
      o: linear({ h: heads, d: headDim }, { dim }, outBias),
      ...(sink && { sink: vector(heads, 0) }),
      ...(qkNorm && { qNorm: normParams(qkNorm, headDim), kNorm: normParams(qkNorm, headDim) }),
      ...(gate && { gate: linear({ dim }, { h: heads, d: headDim }, bias) }),
    }
    return parts as GqaParams
  },
  state: ({ kvHeads, headDim }) => ({ k: rows(kvHeads, headDim, { rotary: true }), v: rows(kvHeads, headDim) }),
  forward: context => groupedForward(context, attend),
  bridges: headBridges,
})

/** `gqa` around another way to mix: queries (N, heads, d), normed and turned, and all that is remembered after the append. */
export function groupedForward(
  { x, params: p, position, state, mask, score, config: { headMap, scale, qkNorm } }: ForwardContext<GqaParams, GqaConfig>,
  mix: (q: Tensor, past: Past, options: AttendPastOptions) => { readonly out: Tensor },
): Tensor {
  const keys = qkNorm ? norm(p.kNorm, p.k(x), qkNorm) : p.k(x)
  const past = state.append({ k: position.rotate(keys), v: p.v(x) }) // (B, kvHeads, S, d)
  const q = position.rotate(qkNorm ? norm(p.qNorm, p.q(x), qkNorm) : p.q(x)) // (N, heads, d)
  const { out } = mix(q, past, { mask, score: chain(position.score, score), scale, sink: p.sink, keyHeads: headMap, valueHeads: headMap })
  return p.o(p.gate ? mapWith((y, g) => y.mul(g.sigmoid()), [out, p.gate(x)]) : out)
}
