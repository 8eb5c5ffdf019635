import { defineAttention } from '@attune/attention'
import { type GqaConfig, gqa } from './gqa.ts'

export type MqaConfig = Omit<GqaConfig, 'kvHeads' | 'headMap'>
const asGqa = (c: MqaConfig): GqaConfig => ({ ...c, kvHeads: 1 })

/** Multi-query attention: all query heads share one key and value head. Shazeer 2019, https://arxiv.org/abs/1911.02150 */
export const mqa = defineAttention('mqa', {
  title: 'Multi-query attention',
  paper: 'https://arxiv.org/abs/1911.02150',
  family: 'heads',
  oracle: 'transformers: logits of tiny Llama checkpoints',
  params: (c: MqaConfig) => gqa.params(asGqa(c)),
  state: c => gqa.state(asGqa(c)),
  forward: context => gqa.forward({ ...context, config: asGqa(context.config) }),
  limits: [[{ dim: 32, heads: 4, headDim: 8 }, gqa, { dim: 32, heads: 4, kvHeads: 1, headDim: 8 }]],
})
