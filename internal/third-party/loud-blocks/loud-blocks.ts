import { attend, defineAttention, pool } from '@attune/attention'
import { type GqaConfig, gqa, groupedForward } from '@attune/attention-heads'
import { pickBlocks } from '@attune/attention-sparse'
import { table, variable } from '@attune/expr'
import { mapExpr, mapWith, sum } from '@attune/tensor'

export interface LoudBlocksConfig extends GqaConfig {
  readonly block: number
  readonly pick: number
}

/** Every query reads its own block and the past blocks whose mean key is longest: what is loud for one is loud for all. */
export const loudBlocks = defineAttention('acme/loud-blocks', {
  title: 'Loud blocks',
  family: 'sparse',
  params: (config: LoudBlocksConfig) => gqa.params(config),
  state: config => ({
    ...gqa.state(config),
    mean: pool(config.kvHeads, config.headDim, { size: config.block, stride: config.block, of: 'k', by: 'mean' }),
  }),
  forward: context =>
    groupedForward(context, (q, past, options) => {
      const { mean } = past.parts // (B, kvHeads, P, d)
      const loud = sum(
        mapWith(x => x.mul(x), [mean]),
        3,
      ) // (B, kvHeads, P)
      const [n, h, p] = ['i0', 'i1', 'i2'].map(name => variable(name, 'i32'))
      const batch = table(past.tokens.batch, { dtype: 'i32', rank: 1 }).at(n)
      const own = table(loud, { dtype: 'f32', rank: 3 }).at(batch, h, p)
      const scores = mapExpr(own, [], { dtype: 'f32', shape: [q.shape[0], mean.shape[1], mean.shape[2]] })
      return attend(q, past, { ...options, ...pickBlocks(scores, past, 'k', context.config) })
    }),
  limits: [
    [
      { dim: 32, heads: 4, kvHeads: 2, headDim: 8, block: 4, pick: Number.POSITIVE_INFINITY },
      gqa,
      { dim: 32, heads: 4, kvHeads: 2, headDim: 8 },
    ],
  ],
})
