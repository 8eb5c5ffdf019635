import { defineAttention, rows } from '@attune/attention'
import { variable } from '@attune/expr'
import { linear } from '@attune/nn'
import { silu } from '@attune/ops'
import { AttuneError, fill, mapWith, matmulOf } from '@attune/tensor'
import { identity, numbers } from './bridge-identity.ts'
import { attendSlots, ofEarlierSlots } from './slot-scores.ts'
import { inChunks } from './step-chunks.ts'

/** Sizes of CASTLE: heads in numbers. */
export interface CastleConfig {
  readonly dim: number
  readonly heads: number
  readonly headDim: number
}

const [i2, i3] = ['i2', 'i3'].map(name => variable(name, 'i32'))

/**
 * CASTLE: beside its key, a token has a lookahead key that later tokens write into, u_s += σ(q^U_s·k^U_t / √d) v^U_t; a query's score is
 * q·k_s / √d − silu(q·u_s / √d). Positions that turn queries and keys are not a part of it. Song et al. 2025,
 * https://arxiv.org/abs/2509.07301
 */
export const castle = defineAttention('castle', {
  title: 'Causal attention with lookahead keys',
  paper: 'https://arxiv.org/abs/2509.07301',
  family: 'mixing',
  oracle: 'float64 transcription of the paper by someone who had not read this code (internal/oracles/blind/castle.py)',
  params({ dim, heads: h, headDim: d }: CastleConfig) {
    const project = linear({ dim }, { h, d })
    const lookahead = { q: project, k: project, v: project }
    return { q: project, k: project, v: project, lookahead, o: linear({ h, d }, { dim }) }
  },
  state({ heads, headDim }) {
    const kept = rows(heads, headDim, { reads: ['whole'] })
    return { k: kept, v: kept, q: kept, u: rows(heads, headDim, { rewritten: true }) }
  },
  forward({ x, params: p, position, state, mask, score, config: { heads, headDim } }) {
    const queries = p.q(x) // (N, H, d)
    if (position.rotate(queries) !== queries)
      throw new AttuneError('ERR_UNSUPPORTED', 'CASTLE has no rotary positions: lookahead keys sum over tokens of many positions', {
        variant: 'castle',
      })
    const { lookahead } = p
    const [lookKeys, lookValues] = [lookahead.k(x), lookahead.v(x)]
    const past = state.append({ k: p.k(x), v: p.v(x), q: lookahead.q(x), u: fill(0, queries.shape) })
    const [keys, values, askers] = [past.dense('k'), past.dense('v'), past.dense('q')] // (B, H, S, d)
    let ahead = past.dense('u')
    const scale = headDim ** -0.5
    const out = inChunks(state.tokens, [heads, headDim], chunk => {
      const slots = { past, part: 'u', chunk, group: 1 }
      const [q, k, v] = [chunk.of(queries), chunk.of(lookKeys), chunk.of(lookValues)] // (B, H, C, d)
      // What each token of the chunk writes into the tokens before it, and what a query sees of that: its own and what came earlier.
      const asked = mapWith(s => s.mul(scale).sigmoid(), [matmulOf(k, askers.transpose())])
      const written = ofEarlierSlots(asked, slots) // (B, H, C, S)
      const seen = mapWith(s => i3.le(i2).select(s, 0), [matmulOf(q, v.transpose())]) // (B, H, C, C)
      const scores = mapWith(
        (key, old, fresh) => key.mul(scale).sub(silu(old.add(fresh).mul(scale))),
        [matmulOf(q, keys.transpose()), matmulOf(q, ahead.transpose()), matmulOf(seen, written)],
      )
      ahead = mapWith((u, added) => u.add(added), [ahead, matmulOf(written.transpose(), v)])
      return attendSlots(scores, values, slots, { mask, score })
    })
    state.write('u', ahead)
    return p.o(out)
  },
  bridges: [
    identity<CastleConfig>({
      from: 'mha',
      to: 'castle',
      paper: 'https://arxiv.org/abs/2509.07301',
      turned: false,
      config: ({ dim, heads, headDim }) => ({ dim, heads, headDim }),
      // Lookahead values of zero: nothing is written.
      begin: ({ dim, heads, headDim }) =>
        Object.fromEntries(['q', 'k', 'v'].map(n => [`lookahead.${n}`, numbers([heads * headDim, dim], () => 0)])),
    }),
  ],
})
