import { ConfigReader } from './config-reader.ts'
import { deepseekLayout, deepseekSpec, expertGroups } from './deepseek.ts'
import type { ModelDefinition } from './definition.ts'

/** DeepSeek-V3 and R1: latent attention, sigmoid routing balanced by a correction of the choice. https://arxiv.org/abs/2412.19437 */
export const deepseekV3: ModelDefinition = {
  type: 'deepseek_v3',
  spec: json =>
    deepseekSpec(new ConfigReader(json), {
      type: 'deepseek_v3',
      defaults: {
        dim: 7168,
        hidden: 18432,
        layers: 61,
        heads: 128,
        vocab: 129280,
        maxPositions: 4096,
        dense: 3,
        expertHidden: 2048,
        shared: 1,
      },
      pairing: c => (c.flag('rope_interleave', true) ? 'interleaved' : 'half'),
      router(c) {
        c.only('scoring_func', 'sigmoid')
        c.only('topk_method', 'noaux_tc')
        const experts = c.count('n_routed_experts', 256)
        return {
          experts,
          perToken: c.count('num_experts_per_tok', 8),
          scoring: 'sigmoid',
          normalise: c.flag('norm_topk_prob', true),
          scale: c.number('routed_scaling_factor', 2.5),
          correction: true,
          ...expertGroups(c, experts, 'top2', { count: 8, chosen: 4 }),
        }
      },
    }),
  layout: deepseekLayout,
}
