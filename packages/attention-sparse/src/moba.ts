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
  /** Of those, the first blocks of the sequence, read whatever they score: weights that rest on the first rows need one. */
  readonly first?: number
}

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
  bridges: [keepWeights<MobaConfig>('moba', 'https://arxiv.org/abs/2502.13189', { block: 16, pick: 16, first: 1 })],
  limits: [
    [
      { dim: 32, heads: 4, kvHeads: 2, headDim: 8, block: 4, pick: Number.POSITIVE_INFINITY },
      gqa,
      { dim: 32, heads: 4, kvHeads: 2, headDim: 8 },
    ],
  ],
})
