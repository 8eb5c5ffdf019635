import { type Matrix, matmul, matrix } from '@attune/linalg'
import { jointLatent, splitLatent } from './joint-latent.ts'
import type { KeyMix } from './key-mix.ts'
import { type LatentTask, latentBridges } from './latent-method.ts'
import { outputEnergies, stackedRows } from './moments.ts'
import { type Pair, rotaryPairs } from './rotary-pairs.ts'
import { oneOf, type SourceHeads } from './source-heads.ts'

/**
 * MHA2MLA: of each key head some rotary pairs stay rotated (`ropeDim` / kvHeads numbers each), the others give their rotation up and join the
 * values in a latent by a singular value decomposition. With all pairs rotated and a full latent, the defaults, it changes nothing.
 * Options: `pairs` high | low | uniform | 2-norm (frequencies that stay: the first, the last, every n-th, or those with the largest product of
 * root mean square query and key), `svd` joint | split, `of` weights | outputs (decomposed as in the paper, or as they come out on
 * calibration tokens). Ji et al. 2025, https://arxiv.org/abs/2502.14837
 */
export const mha2Mla = latentBridges({
  name: 'mha2mla',
  paper: 'https://arxiv.org/abs/2502.14837',
  options: { pairs: oneOf('high', 'low', 'uniform', '2-norm'), svd: oneOf('joint', 'split'), of: oneOf('weights', 'outputs') },
  nopeDim: ({ kvHeads, headDim }, ropeDim) => headDim - ropeDim / kvHeads,
  why({ kvHeads, headDim }, { ropeDim, latent }, { rotary, options }) {
    const most = kvHeads * (rotary?.dims ?? 0)
    if (ropeDim % (2 * kvHeads) !== 0 || ropeDim > most)
      return `ropeDim must be a multiple of ${2 * kvHeads} (a pair of each key head) up to ${most}, got ${ropeDim}`
    return options?.svd === 'split' && ropeDim < kvHeads * headDim && latent < 2 ? 'a split latent needs at least 2 numbers' : undefined
  },
  async make(task) {
    const { source, to, components, rotary, options, rows, moments } = task
    const { kvHeads, headDim: d } = source
    const each = to.ropeDim / kvHeads / 2
    const pairs = rotary ? rotaryPairs(rotary) : []
    const kept = await pairsKept(task, pairs, each)
    const turned = kept.flatMap((list, g) => list.flatMap(f => pairs[f].map(i => g * d + i)))
    const dropped = kept.flatMap((list, g) => pairs.flatMap((pair, f) => (list.includes(f) ? [] : pair.map(i => g * d + i))))
    const rest = Array.from({ length: kvHeads * d }, (_, i) => i).filter(i => !turned.includes(i) && !dropped.includes(i))
    const mix: KeyMix = {
      turned: selection(turned, kvHeads * d),
      pairs: kept.flat(),
      still: selection([...dropped, ...rest], kvHeads * d),
      stopped: dropped.length,
      kept: share(moments, turned, [...turned, ...dropped]),
    }
    const energy = options.of === 'outputs' ? moments : squared(rows)
    const joint = { still: mix.still, moments: energy, components }
    return {
      mix,
      latent: options.svd === 'split' ? splitLatent(joint) : jointLatent(joint),
      nope: kept.map(list => Array.from({ length: d }, (_, i) => i).filter(i => !list.some(f => pairs[f].includes(i)))),
      figures: { ropeEnergy: mix.kept },
    }
  },
})

/** Frequencies that stay rotated in each key head. */
async function pairsKept(
  { source, options, params, gram, moments }: LatentTask,
  pairs: readonly Pair[],
  each: number,
): Promise<number[][]> {
  const same = (list: number[]) => Array.from({ length: source.kvHeads }, () => list)
  const first = Array.from({ length: each }, (_, i) => i)
  switch (options.pairs ?? 'high') {
    case 'high':
      return same(first)
    case 'low':
      return same(first.map(i => pairs.length - each + i))
    case 'uniform':
      return same(first.map(i => Math.floor((i * pairs.length) / each)))
    default: {
      const energies = outputEnergies(await stackedRows([params.get('q')!], source.dim), gram)
      return largestPairs(source, energies, moments, pairs, each)
    }
  }
}

/** The pairs of each key head with the largest sum, over the queries that read it, of query size times key size. */
function largestPairs(
  { kvHeads, headDim: d, map }: SourceHeads,
  queries: Float64Array,
  keys: Matrix,
  pairs: readonly Pair[],
  each: number,
): number[][] {
  return Array.from({ length: kvHeads }, (_, g) => {
    const score = pairs.map((_, f) => {
      const size = (energy: (i: number) => number) =>
        Math.sqrt(
          Math.max(
            0,
            pairs[f].reduce((sum, i) => sum + energy(i), 0),
          ),
        )
      const key = size(i => keys.data[(g * d + i) * keys.cols + g * d + i])
      return map.reduce((sum, own, h) => (own === g ? sum + key * size(i => queries[h * d + i]) : sum), 0)
    })
    const order = score.map((_, f) => f).sort((a, b) => score[b] - score[a] || a - b)
    return order.slice(0, each).sort((a, b) => a - b)
  })
}

/** Rows of the identity. */
function selection(list: readonly number[], n: number): Matrix {
  const out = matrix(list.length, n)
  list.forEach((i, r) => (out.data[r * n + i] = 1))
  return out
}

const share = (m: Matrix, part: readonly number[], whole: readonly number[]): number => {
  const sum = (list: readonly number[]) => list.reduce((t, i) => t + m.data[i * m.cols + i], 0)
  return sum(whole) > 0 ? sum(part) / sum(whole) : 1
}

function squared(rows: Matrix): Matrix {
  const out = matmul(rows, rows, { transB: true })
  for (let i = 0; i < out.rows; i++) for (let j = 0; j < i; j++) out.data[i * out.cols + j] = out.data[j * out.cols + i]
  return out
}
