import { type AttendPastOptions, attend, defineAttention, type ForwardContext, type Past, rows } from '@attune/attention'
import { chain, s } from '@attune/expr'
import { type BoundNorm, type LinearSpec, linear, type NormParams, type NormSpec, type VectorSpec, vector } from '@attune/nn'
import { mapWith, type Tensor } from '@attune/tensor'
import { headBridges } from './bridges.ts'
import { headNorm, headNormParams } from './head-norm.ts'

/** Sizes and settings of grouped heads: `dim` is the stream, `headDim` numbers of each of `heads` queries and `kvHeads` keys and values. */
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
  /**
   * Queries and keys are normed before they are turned: each head by one gain (default), each by a gain of its `own`, or `all` heads as one
   * long row. https://arxiv.org/abs/2302.05442
   */
  readonly qkNorm?: NormSpec & { readonly over?: 'head' | 'own' | 'all' }
  /** Scores pass cap · tanh(score / cap). Gemma 2, https://arxiv.org/abs/2408.00118 */
  readonly softcap?: number
  /** Queries, keys and values are clamped to ±clip. MPT, https://github.com/mosaicml/llm-foundry */
  readonly clip?: number
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
      ...(qkNorm && { qNorm: headNormParams(qkNorm, heads, headDim), kNorm: headNormParams(qkNorm, kvHeads, headDim) }),
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
  { x, params: p, position, state, mask, score, config }: ForwardContext<GqaParams, GqaConfig>,
  mix: (q: Tensor, past: Past, options: AttendPastOptions) => { readonly out: Tensor },
): Tensor {
  const { headMap, scale, qkNorm, softcap, clip } = config
  const clamped = (y: Tensor): Tensor => (clip === undefined ? y : mapWith(e => e.min(clip).max(-clip), [y]))
  const turned = (y: Tensor, by: BoundNorm): Tensor => position.rotate(qkNorm ? headNorm(by, clamped(y), qkNorm) : clamped(y))
  const past = state.append({ k: turned(p.k(x), p.kNorm), v: clamped(p.v(x)) }) // (B, kvHeads, S, d)
  const capped = softcap === undefined ? undefined : s.div(softcap).tanh().mul(softcap)
  const { out } = mix(turned(p.q(x), p.qNorm), past, {
    ...{ mask, score: chain(chain(capped, position.score), score), scale },
    ...{ sink: p.sink, keyHeads: headMap, valueHeads: headMap },
  })
  return p.o(p.gate ? mapWith((y, g) => y.mul(g.sigmoid()), [out, p.gate(x)]) : out)
}
