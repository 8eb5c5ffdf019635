import { attend, defineAttention, pool } from '@attune/attention'
import { type GqaConfig, gqa, groupedForward } from '@attune/attention-heads'
import { groupedHeads } from '@attune/ops'
import { pickBlocks, pooledProducts } from './block-lists.ts'
import { keepWeights } from './bridge-keep.ts'

export interface MobaConfig extends GqaConfig {
  /** Rows of a block. */
  readonly block: number
  /** Blocks a query reads, its own among them; `Infinity`: all. */
  readonly pick: number
  /**
   * Of those, the first blocks of the sequence, read whatever they score. Weights that were not trained for `moba` rest what they need not
   * elsewhere on the first rows, which the mean key of a block hides: they need one.
   */
  readonly first?: number
}

/**
 * What weights of dense attention ask for: small blocks, the first always. On SmolLM2 a quarter of such blocks holds 85 to 88 % of dense
 * attention; of 16 rows each and without the first, as in the paper, 55 to 62 % (`pnpm check:smollm2 --only routing`).
 */
const UNTRAINED = { block: 4, pick: 64, first: 1 }

/**
 * Mixture of block attention: a query reads its own block and the past blocks whose mean key it agrees with most; each query head picks
 * for itself. Parameters are those of `gqa`. Lu et al. 2025, https://arxiv.org/abs/2502.13189
 */
export const moba = defineAttention('moba', {
  title: 'Mixture of block attention',
  paper: 'https://arxiv.org/abs/2502.13189',
  family: 'sparse',
  oracle: 'MoonshotAI/MoBA: moba_attn_varlen_naive',
  params: (config: MobaConfig) => gqa.params(config),
  state: config => ({
    ...gqa.state(config),
    mean: pool(config.kvHeads, config.headDim, { size: config.block, stride: config.block, of: 'k', by: 'mean' }),
  }),
  forward: context =>
    groupedForward(context, (q, past, options) => {
      const { heads, kvHeads, headMap = groupedHeads(heads, kvHeads) } = context.config
      const lists = pickBlocks(pooledProducts(q, past, 'mean', headMap), past, 'k', context.config)
      return attend(q, past, { ...options, ...lists })
    }),
  bridges: [keepWeights<MobaConfig>('moba', 'https://arxiv.org/abs/2502.13189', UNTRAINED)],
  limits: [
    [
      { dim: 32, heads: 4, kvHeads: 2, headDim: 8, block: 4, pick: Number.POSITIVE_INFINITY },
      gqa,
      { dim: 32, heads: 4, kvHeads: 2, headDim: 8 },
    ],
  ],
})
