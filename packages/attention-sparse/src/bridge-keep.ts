import { type Bridge, bridge } from '@attune/attention'
import type { GqaConfig } from '@attune/attention-heads'

/** The same weights, read by fewer blocks: nothing is changed but what a query looks at. */
export const keepWeights = <C extends GqaConfig>(to: string, paper: string, defaults: Omit<C, keyof GqaConfig>): Bridge<GqaConfig, C> =>
  bridge<GqaConfig, C>({
    name: 'keep',
    from: 'gqa',
    to,
    exactness: 'approximate',
    paper,
    oracle: 'the layer itself, where all blocks are picked',
    config: (from, wish) => ({ ...defaults, ...wish, ...from }) as C,
    params: async ({ params }) => params,
  })
