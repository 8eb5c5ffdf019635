import { attend, defineAttention, pool } from '@attune/attention'
import { gqa, groupedForward } from '@attune/attention-heads'
import { pageBounds, pickBlocks, pooledProducts } from '@attune/attention-sparse'
import { variable } from '@attune/expr'
import { Runner } from '@attune/models'
import { groupedHeads } from '@attune/ops'
import { mapExpr, mapWith, randomOf, tensor } from '@attune/tensor'
import { oracle } from '../oracle.mjs'

/** Rows of a block. */
const BLOCK = 16

/**
 * How much of dense attention lies in the blocks that Quest and MoBA would pick, a quarter of those there are, over 1,500 tokens; beside
 * it what blocks picked at random hold. Along the dense model's own run, so that no choice spoils the next.
 * @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab
 */
export async function check(t, lab) {
  const { long1500 } = oracle('golden.json.gz').prompts
  const ids = long1500.input_ids
  const loaded = await lab.load()
  const { seeing, found } = measured()
  const model = { ...loaded.model, variants: new Map(loaded.model.variants).set('gqa', seeing) }
  const runner = new Runner(model, loaded.device, { chunk: ids.length })
  const result = await runner.step([{ sequence: runner.open(), ids }], {
    key: 'routing',
    build: () => ({ outputs: Object.fromEntries(found) }),
  })

  /** @type {Record<string, { mean: number, worstLayer: number, layers: number[] }>} */
  const recall = {}
  for (const route of routes) {
    const layers = []
    for (let layer = 0; found.has(`${route}.${layer}`); layer++) {
      const { data, shape } = await result.read(`${route}.${layer}`)
      if (!(data instanceof Float32Array)) throw new Error(`${route}.${layer} is not f32`)
      // From four blocks on there is a quarter to pick.
      const held = data.subarray(3 * BLOCK * shape[1], ids.length * shape[1])
      layers.push(held.reduce((a, x) => a + x, 0) / held.length)
    }
    recall[route] = { mean: layers.reduce((a, x) => a + x, 0) / layers.length, worstLayer: Math.min(...layers), layers }
  }
  await runner.dispose()
  const percent = (/** @type {string} */ route) => 100 * recall[route].mean
  t.atLeast('attention in the quarter of pages Quest picks', percent('quest'), 80, ' %')
  t.atLeast('attention in the quarter of blocks MoBA picks, the first block always', percent('mobaFirst'), 80, ' %')
  // These weights were not trained for MoBA: they rest on the first rows, which the mean of a block does not show.
  t.note('MoBA, the first block like any other', percent('moba'), ' %')
  t.note('Quest, the first page always', percent('questFirst'), ' %')
  t.note('picked at random beside the own block', percent('random'), ' %')
  t.note('picked at random beside the own and the first block', percent('randomFirst'), ' %')
  t.note('Quest, worst layer', 100 * recall.quest.worstLayer, ' %')
  t.note('MoBA with the first block, worst layer', 100 * recall.mobaFirst.worstLayer, ' %')
  t.samples.recall = recall
}

const routes = ['quest', 'moba', 'questFirst', 'mobaFirst', 'random', 'randomFirst']

/** gqa that also finds, per token and query head, the share of its attention that each route's blocks hold. */
function measured() {
  /** @type {Map<string, import('@attune/tensor').Tensor>} */
  const found = new Map()
  let layer = 0
  const seeing = defineAttention('gqa', {
    title: gqa.about.title,
    params: gqa.params,
    state(config) {
      const pooled = (/** @type {'mean' | 'min' | 'max'} */ by) =>
        pool(config.kvHeads, config.headDim, { size: BLOCK, stride: BLOCK, of: 'k', by })
      return { ...gqa.state(config), mean: pooled('mean'), least: pooled('min'), greatest: pooled('max') }
    },
    forward: context =>
      groupedForward(context, (q, past, options) => {
        const { heads, kvHeads } = context.config
        const map = groupedHeads(heads, kvHeads)
        const dense = attend(q, past, { ...options, lse: true })
        const mean = pooledProducts(q, past, 'mean', map)
        const chance = randomOf(tensor([layer, 5], [2], 'i32'), mean.shape)
        const scores = {
          quest: pageBounds(q, past, map),
          moba: mean,
          questFirst: pageBounds(q, past, map),
          mobaFirst: mean,
          random: chance,
          randomFirst: chance,
        }
        for (const [route, score] of Object.entries(scores)) {
          const lists = pickBlocks(score, past, 'k', {
            block: BLOCK,
            pick: Number.POSITIVE_INFINITY,
            first: route.endsWith('First') ? 1 : 0,
          })
          const quarter = mapExpr(variable('x0', 'i32').idiv(4).max(1), [lists.blockCounts])
          const part = attend(q, past, { ...options, ...lists, blockCounts: quarter, lse: true })
          if (!part.lse || !dense.lse) throw new Error('attention gave no lse')
          found.set(
            `${route}.${layer}`,
            mapWith((some, all) => some.sub(all).exp(), [part.lse, dense.lse]),
          )
        }
        layer++
        return dense
      }),
  })
  return { seeing, found }
}
