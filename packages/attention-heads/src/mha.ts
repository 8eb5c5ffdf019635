import { defineAttention } from '@attune/attention'
import { type GqaConfig, gqa } from './gqa.ts'

export type MhaConfig = Omit<GqaConfig, 'kvHeads' | 'headMap'>
const asGqa = (c: MhaConfig): GqaConfig => ({ ...c, kvHeads: c.heads })

/** Multi-head attention: every query head has its own key and value head. Vaswani et al. 2017, https://arxiv.org/abs/1706.03762 */
export const mha = defineAttention('mha', {
  title: 'Multi-head attention',
  paper: 'https://arxiv.org/abs/1706.03762',
  family: 'heads',
  oracle: 'transformers: logits of tiny Llama checkpoints',
  params: (c: MhaConfig) => gqa.params(asGqa(c)),
  state: c => gqa.state(asGqa(c)),
  forward: context => gqa.forward({ ...context, config: asGqa(context.config) }),
  limits: [[{ dim: 32, heads: 4, headDim: 8 }, gqa, { dim: 32, heads: 4, kvHeads: 4, headDim: 8 }]],
})
