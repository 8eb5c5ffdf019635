import { attend, defineAttention } from '@attune/attention'
import { type GqaConfig, gqa } from '@attune/attention-heads'
import { vector } from '@attune/nn'

/**
 * Grouped-query attention in which each query head may look at nothing: a learned logit takes weight and gives no value.
 * gpt-oss, https://arxiv.org/abs/2508.10925
 */
export const learnedSink = defineAttention('acme/learned-sink', {
  title: 'Attention with a learned sink',
  paper: 'https://arxiv.org/abs/2508.10925',
  params: (c: GqaConfig) => ({ ...gqa.params(c), sink: vector(c.heads, 0) }),
  state: gqa.state,
  forward({ x, params: p, position, state, mask, score, config: { headMap } }) {
    const past = state.append({ k: position.rotate(p.k(x)), v: p.v(x) })
    return p.o(attend(position.rotate(p.q(x)), past, { mask, score, sink: p.sink, keyHeads: headMap }).out)
  },
})
