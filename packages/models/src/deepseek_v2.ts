import { AttuneError } from '@attune/tensor'
import { ConfigReader } from './config-reader.ts'
import { deepseekLayout, deepseekSpec, expertGroups } from './deepseek.ts'
import type { ModelDefinition } from './definition.ts'

/** DeepSeek-V2: latent attention, softmax routing, perhaps within the best groups of experts. https://arxiv.org/abs/2405.04434 */
export const deepseekV2: ModelDefinition = {
  type: 'deepseek_v2',
  spec: json =>
    deepseekSpec(new ConfigReader(json), {
      type: 'deepseek_v2',
      defaults: {
        dim: 4096,
        hidden: 11008,
        layers: 32,
        heads: 32,
        vocab: 102400,
        maxPositions: 2048,
        dense: 0,
        expertHidden: 1407,
        shared: 2,
      },
      pairing: () => 'interleaved',
      router(c) {
        c.only('scoring_func', 'softmax')
        c.only('norm_topk_prob', false)
        const method = c.text('topk_method', 'greedy')
        if (method !== 'greedy' && method !== 'group_limited_greedy')
          throw new AttuneError('ERR_UNSUPPORTED', `${c.file}: topk_method '${method}' is not supported`, { topk_method: method })
        const experts = c.count('n_routed_experts', 64)
        if (method === 'greedy') c.ignore('n_group', 'topk_group') // unused by this method
        return {
          experts,
          perToken: c.count('num_experts_per_tok'),
          scoring: 'softmax',
          normalise: false,
          scale: c.number('routed_scaling_factor', 1),
          ...(method === 'greedy' ? {} : expertGroups(c, experts, 'max', {})),
        }
      },
    }),
  layout: deepseekLayout,
}
