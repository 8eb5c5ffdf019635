import { attend, defineAttention, type Past, pool } from '@attune/attention'
import { type GqaConfig, gqa, groupedForward } from '@attune/attention-heads'
import { groupedHeads } from '@attune/ops'
import { mapWith, type Tensor } from '@attune/tensor'
import { pickBlocks, pooledProducts } from './block-lists.ts'
import { keepWeights } from './bridge-keep.ts'

export interface QuestConfig extends GqaConfig {
  /** Rows of a page. */
  readonly page: number
  /** Pages a query reads, its own among them; `Infinity`: all. */
  readonly pick: number
  /** Of those, the first pages of the sequence, read whatever they score: weights that rest on the first rows need one. */
  readonly first?: number
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
  oracle: 'mit-han-lab/Quest: reference of its approximate attention test',
  params: (config: QuestConfig) => gqa.params(config),
  state({ page, ...config }) {
    const bound = (by: 'min' | 'max') => pool(config.kvHeads, config.headDim, { size: page, stride: page, of: 'k', by })
    return { ...gqa.state(config), least: bound('min'), greatest: bound('max') }
  },
  forward: context =>
    groupedForward(context, (q, past, options) => {
      const { heads, kvHeads, headMap = groupedHeads(heads, kvHeads), page, pick, first } = context.config
      return attend(q, past, { ...options, ...pickBlocks(pageBounds(q, past, headMap), past, 'k', { block: page, pick, first }) })
    }),
  bridges: [keepWeights<QuestConfig>('quest', 'https://arxiv.org/abs/2406.10774', { page: 8, pick: 32 })],
  limits: [
    [
      { dim: 32, heads: 4, kvHeads: 2, headDim: 8, page: 4, pick: Number.POSITIVE_INFINITY },
      gqa,
      { dim: 32, heads: 4, kvHeads: 2, headDim: 8 },
    ],
  ],
})

/** The largest a product of q (N, H, d) with a key of a page could be: (N, H, pages). Parts `least` and `greatest` are pooled keys. */
export function pageBounds(q: Tensor, past: Past, heads: readonly number[]): Tensor {
  // A positive number of q takes the greatest, a negative one the least.
  const positive = mapWith(x => x.max(0), [q])
  const negative = mapWith(x => x.min(0), [q])
  return mapWith((a, b) => a.add(b), [pooledProducts(positive, past, 'greatest', heads), pooledProducts(negative, past, 'least', heads)])
}
