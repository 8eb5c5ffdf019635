import { attend, defineAttention, pool } from '@attune/attention'
import { gqa, groupedForward } from '@attune/attention-heads'
import { pageBounds, pickBlocks, pooledProducts } from '@attune/attention-sparse'
import { variable } from '@attune/expr'
import { Runner } from '@attune/models'
import { groupedHeads } from '@attune/ops'
import { mapExpr, mapWith, randomOf, tensor } from '@attune/tensor'
import { oracle } from '../oracle.mjs'

/** Rows of a block: in the papers, of Quest's and of MoBA's bars here. */
const SIZES = [16, 8, 4]

/**
 * How much of dense attention lies in the blocks that Quest and MoBA would pick, a quarter of those there are, along four texts. That MoBA's
 * first block is always read was chosen on the first one, Quest's pages of 8 rows on the first two, MoBA's blocks of 4 on the first
 * three. Beside it what blocks picked at random hold. Along the dense model's own run, so that no choice spoils the next.
 * @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab
 */
export async function check(t, lab) {
  const { input_ids } = oracle('perplexity.json.gz')
  const texts = {
    'a licence': oracle('golden.json.gz').prompts.long1500.input_ids,
    Opticks: input_ids.slice(0, 1500),
    'end of Opticks': input_ids.slice(-1500),
    'middle of Opticks': input_ids.slice(1500, -1500),
  }
  const loaded = await lab.load()
  for (const [text, ids] of Object.entries(texts)) {
    const recall = await recalls(loaded, ids)
    const percent = (/** @type {string} */ route) => 100 * recall[route].mean
    t.atLeast(`${text}: attention in the quarter of pages Quest picks, 8 rows each`, percent('quest8'), 80, ' %')
    t.note(`${text}: as many at random beside the own`, percent('random8'), ' %')
    t.atLeast(`${text}: in the quarter of blocks MoBA picks, 4 rows each, the first always`, percent('moba4First'), 80, ' %')
    t.note(`${text}: as many at random beside the own and the first`, percent('random4First'), ' %')
    // These weights were not trained for MoBA: they rest on the first rows, which the mean of a large block hides.
    t.note(`${text}: MoBA as in the paper, 4 rows each`, percent('moba4'), ' %')
    t.note(`${text}: MoBA as in the paper, 16 rows each`, percent('moba16'), ' %')
    t.note(`${text}: MoBA, 16 rows each, the first always`, percent('moba16First'), ' %')
    t.note(`${text}: Quest, 16 rows each`, percent('quest16'), ' %')
    t.note(`${text}: at random beside the own, 16 rows each`, percent('random16'), ' %')
    t.note(`${text}: Quest, worst layer`, 100 * recall.quest8.worstLayer, ' %')
    t.note(`${text}: MoBA, worst layer`, 100 * recall.moba4First.worstLayer, ' %')
    t.samples[text] = recall
  }
}

/**
 * Mean over layers, heads and tokens of what each route's blocks hold.
 * @param {import('../lab.mjs').Loaded} loaded @param {number[]} ids
 */
async function recalls(loaded, ids) {
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
      // From four of the largest blocks on there is a quarter to pick.
      const held = data.subarray(3 * Math.max(...SIZES) * shape[1], ids.length * shape[1])
      layers.push(held.reduce((a, x) => a + x, 0) / held.length)
    }
    recall[route] = { mean: layers.reduce((a, x) => a + x, 0) / layers.length, worstLayer: Math.min(...layers), layers }
  }
  await runner.dispose()
  return recall
}

const routes = ['quest8', 'random8', 'moba4First', 'random4First', 'moba4', 'moba16', 'moba16First', 'quest16', 'random16']

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
        SIZES.map(size => [`${by}${size}`, pool(config.kvHeads, config.headDim, { size, stride: size, of: 'k', by })])
      return { ...gqa.state(config), ...Object.fromEntries([...pooled('mean'), ...pooled('min'), ...pooled('max')]) }
    },
    forward: context =>
      groupedForward(context, (q, past, options) => {
        const { heads, kvHeads } = context.config
        const map = groupedHeads(heads, kvHeads)
        const dense = attend(q, past, { ...options, lse: true })
        const mean = (/** @type {number} */ size) => pooledProducts(q, past, `mean${size}`, map)
        const bounds = (/** @type {number} */ size) =>
          pageBounds(q, { ...past, parts: { ...past.parts, least: past.parts[`min${size}`], greatest: past.parts[`max${size}`] } }, map)
        const random = (/** @type {number} */ size) => randomOf(tensor([layer, 5], [2], 'i32'), mean(size).shape)
        const scores = { quest: bounds, moba: mean, random }
        for (const route of routes) {
          const [, name, size, first] = route.match(/^([a-z]+)(\d+)(First)?$/) ?? []
          const lists = pickBlocks(scores[/** @type {keyof typeof scores} */ (name)](Number(size)), past, 'k', {
            block: Number(size),
            pick: Number.POSITIVE_INFINITY,
            first: first ? 1 : 0,
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
