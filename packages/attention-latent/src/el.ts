import { attend, defineAttention, rows } from '@attune/attention'
import { linear } from '@attune/nn'
import { AttuneError, mapWith, matmulOf, type Tensor } from '@attune/tensor'
import { keepInputs } from './bridge-keep-inputs.ts'

export interface ElConfig {
  readonly dim: number
  readonly heads: number
  readonly headDim: number
  /** Biases on q, k and v. */
  readonly bias?: boolean
  readonly outBias?: boolean
}

/**
 * EL-attention: multi-head attention, number for number, that remembers the layer's inputs (one row of `dim` numbers) in place of keys and
 * values: q·(Wk x) = (qWk)·x, and values are made from the mixed inputs. Needs positions that do not turn keys. Yan et al. 2021,
 * https://arxiv.org/abs/2105.04779
 */
export const el = defineAttention('el', {
  title: 'EL-attention',
  paper: 'https://arxiv.org/abs/2105.04779',
  family: 'latent',
  oracle: 'multi-head attention as transformers runs it',
  params: ({ dim, heads: h, headDim: d, bias = false, outBias = false }: ElConfig) => ({
    q: linear({ dim }, { h, d }, bias),
    k: linear({ dim }, { h, d }, bias),
    v: linear({ dim }, { h, d }, bias),
    o: linear({ h, d }, { dim }, outBias),
  }),
  state: ({ dim }) => ({ x: rows(1, dim) }),
  forward({ x, params: p, position, state, mask, score, config: { dim, heads, headDim } }) {
    const q = p.q(x) // (N, H, d)
    if (position.rotate(q) !== q)
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        'EL-attention remembers layer inputs: keys made from them cannot be turned by rotary positions',
        {
          variant: 'el',
        },
      )
    const past = state.append({ x: x.unsqueeze(1) })
    const inside = matmulOf(q.permute(1, 0, 2), p.k.weight.reshape([heads, headDim, dim])).permute(1, 0, 2) // (N, H, dim)
    // A bias on k moves all scores of a query alike: softmax does not see it.
    const { out } = attend(inside, past, { mask, score, keys: 'x', valueWidth: dim, scale: headDim ** -0.5 })
    const values = matmulOf(out.permute(1, 0, 2), p.v.weight.reshape([heads, headDim, dim]).transpose()) // (H, N, d)
    return p.o(biased(values.permute(1, 0, 2), p.v.bias?.reshape([heads, headDim])))
  },
  bridges: [keepInputs],
})

/** Weights of a query sum to 1, so what is added to every value is added to their mix. */
const biased = (y: Tensor, bias?: Tensor): Tensor => (bias ? mapWith((a, b) => a.add(b), [y, bias]) : y)
