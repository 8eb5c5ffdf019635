import { defineAttention, rows } from '@attune/attention'
import { array, linear } from '@attune/nn'
import { mixOver } from './attend-mixed.ts'
import { identity, unit } from './bridge-identity.ts'

export interface TalkingHeadsConfig {
  readonly dim: number
  /** Heads of queries and keys, of the softmax, and of values; all equal in the plain form. */
  readonly logitHeads?: number
  readonly heads: number
  readonly valueHeads?: number
  readonly headDim: number
}
const counts = ({ heads, logitHeads = heads, valueHeads = heads }: TalkingHeadsConfig) => ({ logitHeads, valueHeads })
const each = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/**
 * Talking-heads attention: logits are mixed over heads before the softmax and weights after it. Shazeer et al. 2020,
 * https://arxiv.org/abs/2003.02436
 */
export const talkingHeads = defineAttention('talking-heads', {
  title: 'Talking-heads attention',
  paper: 'https://arxiv.org/abs/2003.02436',
  family: 'mixing',
  oracle: 'float64 transcription of the paper by someone who had not read this code (internal/oracles/blind/talking-heads.py)',
  params(config: TalkingHeadsConfig) {
    const { dim, heads, headDim: d } = config
    const { logitHeads, valueHeads } = counts(config)
    return {
      q: linear({ dim }, { h: logitHeads, d }),
      k: linear({ dim }, { h: logitHeads, d }),
      v: linear({ dim }, { h: valueHeads, d }),
      before: array([heads, logitHeads], { spread: 0.5 }),
      after: array([valueHeads, heads], { spread: 0.5 }),
      o: linear({ h: valueHeads, d }, { dim }),
    }
  },
  state(config) {
    const { logitHeads, valueHeads } = counts(config)
    return {
      k: rows(logitHeads, config.headDim, { rotary: true, reads: ['whole'] }),
      v: rows(valueHeads, config.headDim, { reads: ['whole'] }),
    }
  },
  forward({ x, params: p, position, state, mask, score, config }) {
    const { logitHeads, valueHeads } = counts(config)
    const past = state.append({ k: position.rotate(p.k(x)), v: p.v(x) })
    const q = position.rotate(p.q(x)) // (N, logit heads, d)
    return p.o(
      mixOver(past, {
        ...{ q, keyHeads: each(logitHeads), valueHeads: each(valueHeads) },
        ...{ before: p.before, after: p.after, scale: config.headDim ** -0.5, mask, score },
      }),
    )
  },
  bridges: [
    identity<TalkingHeadsConfig>({
      from: 'mha',
      to: 'talking-heads',
      paper: 'https://arxiv.org/abs/2003.02436',
      config: ({ dim, heads, headDim }) => ({ dim, heads, headDim }),
      begin: ({ heads }) => ({ before: unit(heads), after: unit(heads) }),
    }),
  ],
})
