import { attend, defineAttention, pool } from '@attune/attention'
import { type GqaConfig, gqa, groupedForward } from '@attune/attention-heads'
import { groupedHeads } from '@attune/ops'
import { mapWith } from '@attune/tensor'
import { pickBlocks, pooledProducts } from './block-lists.ts'

export interface QuestConfig extends GqaConfig {
  /** Rows of a page. */
  readonly page: number
  /** Pages a query reads, its own among them; `Infinity`: all. */
  readonly pick: number
}

/**
 * Query-aware sparsity: a query reads its own page and those whose scores could be largest, by the least and greatest of each number of
 * their keys. For the weights of any `gqa` as they are; the authors keep the first two layers dense. Tang et al. 2024,
 * https://arxiv.org/abs/2406.10774
 */
export const quest = defineAttention('quest', {
  title: 'Query-aware sparsity',
  paper: 'https://arxiv.org/abs/2406.10774',
  family: 'sparse',
  params: (config: QuestConfig) => gqa.params(config),
  state({ page, ...config }) {
    const bound = (by: 'min' | 'max') => pool(config.kvHeads, config.headDim, { size: page, stride: page, of: 'k', by })
    return { ...gqa.state(config), least: bound('min'), greatest: bound('max') }
  },
  forward: context =>
    groupedForward(context, (q, past, options) => {
      const { heads, kvHeads, headMap = groupedHeads(heads, kvHeads), page, pick } = context.config
      // Σ max(q·least, q·greatest): a positive number of q takes the greatest, a negative one the least.
      const above = pooledProducts(
        mapWith(x => x.max(0), [q]),
        past,
        'greatest',
        headMap,
      )
      const below = pooledProducts(
        mapWith(x => x.min(0), [q]),
        past,
        'least',
        headMap,
      )
      const bounds = mapWith((a, b) => a.add(b), [above, below])
      return attend(q, past, { ...options, ...pickBlocks(bounds, past, 'k', { block: page, pick }) })
    }),
  limits: [
    [
      { dim: 32, heads: 4, kvHeads: 2, headDim: 8, page: 4, pick: Number.POSITIVE_INFINITY },
      gqa,
      { dim: 32, heads: 4, kvHeads: 2, headDim: 8 },
    ],
  ],
})
