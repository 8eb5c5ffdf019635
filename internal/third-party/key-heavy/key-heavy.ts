import { attend, bridge, defineAttention, rows } from '@attune/attention'
import { type GqaConfig, gqa, pickHeads } from '@attune/attention-heads'
import { linear } from '@attune/nn'

export interface KeyHeavyConfig extends Omit<GqaConfig, 'kvHeads' | 'headMap' | 'outBias'> {
  readonly valueHeads: number
}

/** Grouped-query attention with the same numbers: each query head gets its own copy of the key it reads. */
export const fromGqa = bridge<GqaConfig, KeyHeavyConfig>({
  name: 'repeat',
  from: 'gqa',
  to: 'acme/key-heavy',
  exactness: 'exact',
  why: ({ from }) => (from.headMap || from.outBias ? 'a head map or an output bias has no counterpart' : undefined),
  config: ({ dim, heads, kvHeads, headDim, bias }) => ({ dim, heads, valueHeads: kvHeads, headDim, bias }),
  async params({ from: { heads, kvHeads, headDim }, params }) {
    const origins = Array.from({ length: heads }, (_, h) => Math.floor((h * kvHeads) / heads))
    return new Map(params).set('k', pickHeads(params.get('k')!, origins, headDim))
  },
})

/** Every query head has a key of its own, groups of them share a value: where to look stays sharp, what is read there is shared. */
export const keyHeavy = defineAttention('acme/key-heavy', {
  title: 'Key-heavy attention',
  params: ({ dim, heads, valueHeads, headDim, bias = false }: KeyHeavyConfig) => ({
    q: linear({ dim }, { h: heads, d: headDim }, bias),
    k: linear({ dim }, { h: heads, d: headDim }, bias),
    v: linear({ dim }, { h: valueHeads, d: headDim }, bias),
    o: linear({ h: heads, d: headDim }, { dim }),
  }),
  state: ({ heads, valueHeads, headDim }) => ({ k: rows(heads, headDim), v: rows(valueHeads, headDim) }),
  forward({ x, params: p, position, state, mask, score }) {
    const past = state.append({ k: position.rotate(p.k(x)), v: p.v(x) })
    return p.o(attend(position.rotate(p.q(x)), past, { mask, score }).out)
  },
  limits: [[{ dim: 32, heads: 4, valueHeads: 4, headDim: 8 }, gqa, { dim: 32, heads: 4, kvHeads: 4, headDim: 8 }]],
  bridges: [fromGqa],
})
