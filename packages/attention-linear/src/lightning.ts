import { defineAttention, fold } from '@attune/attention'
import { activation, linear, vector } from '@attune/nn'
import { rmsNormOf } from '@attune/ops'
import { AttuneError, dense, mapWith, tensor } from '@attune/tensor'
import { recur, wholePast } from './recurrence.ts'

export interface LightningConfig {
  readonly dim: number
  readonly heads: number
  readonly headDim: number
  /** What each head forgets per token: its state decays by e^−slope. See `lightningSlopes`. */
  readonly slopes: readonly number[]
  /** On queries, keys and values; silu by default. */
  readonly activation?: string
  /** Of the norm over all heads' outputs; 1e-6 by default. */
  readonly eps?: number
}

/** Slopes of a layer as MiniMax sets them: ALiBi's, less in later layers. */
export const lightningSlopes = (heads: number, layer: number, layers: number): number[] =>
  Array.from({ length: heads }, (_, h) => 2 ** ((-8 * (h + 1)) / heads) * (1 - layer / (layers - 1 + 1e-5) + 1e-5))

/**
 * Lightning attention: linear attention with a fixed decay per head, no normaliser but a norm over the output, which a gate of the input
 * multiplies. Qin et al. 2024, https://arxiv.org/abs/2401.04658; as in MiniMax-01, https://arxiv.org/abs/2501.08313
 */
export const lightning = defineAttention('lightning', {
  title: 'Lightning attention',
  paper: 'https://arxiv.org/abs/2401.04658',
  family: 'linear',
  oracle: 'transformers: MiniMaxLightningAttention',
  params: ({ dim, heads: h, headDim: d }: LightningConfig) => ({
    q: linear({ dim }, { h, d }),
    k: linear({ dim }, { h, d }),
    v: linear({ dim }, { h, d }),
    gate: linear({ dim }, { h, d }),
    norm: vector(h * d),
    o: linear({ h, d }, { dim }),
  }),
  state: ({ heads, headDim }) => ({ s: fold(heads, headDim, headDim) }),
  forward({ x, params: p, state, mask, score, config: { heads, headDim, slopes, activation: act = 'silu', eps = 1e-6 } }) {
    wholePast('lightning', { mask, score })
    if (slopes.length !== heads || slopes.some(s => !(s >= 0)))
      throw new AttuneError('ERR_ARGUMENT', `lightning: ${heads} heads need as many slopes, none below 0, not [${slopes.join(', ')}]`, {
        slopes,
      })
    const f = activation(act)
    const [q, k, v] = [p.q, p.k, p.v].map(project => mapWith(f, [project(x)]))
    const decay = tensor(
      slopes.map(s => -s),
      [1, heads],
    ).expand([x.shape[0], heads])
    const out = dense(recur(state, { q, k, v, decay })).reshape([x.shape[0], heads * headDim])
    const normed = rmsNormOf(out, p.norm, eps).reshape([x.shape[0], heads, headDim])
    return p.o(mapWith((y, g) => y.mul(g.sigmoid()), [normed, p.gate(x)]))
  },
})
