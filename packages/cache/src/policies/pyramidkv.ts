import { allowed, type EvictionPolicy } from '../policy.ts'
import { best } from './scores.ts'
import { type SnapKvOptions, snapKv } from './snapkv.ts'

export interface PyramidKvOptions extends SnapKvOptions {
  /** Steepness: the last layer keeps 1/beta of the mean. */
  readonly beta?: number
}

/** SnapKV's choice with more rows in early layers than in late ones; the mean over layers is the budget. https://arxiv.org/abs/2406.02069 */
export const pyramidKv = ({ beta = 20, window = 8, ...options }: PyramidKvOptions = {}): EvictionPolicy => {
  const by = snapKv({ ...options, window })
  return {
    name: 'pyramidkv',
    about: { title: 'PyramidKV', paper: 'https://arxiv.org/abs/2406.02069', family: 'budget', oracle: 'kvpress: PyramidKVPress' },
    observes: by.observes,
    after: by.after,
    plan: (observed, budget) =>
      observed.layers.map((layer, i) => {
        const scores = by.scores(observed, i)
        return layer.rows.map(({ length }, h) =>
          best(
            scores[h],
            layerRows(length, allowed(budget, length, observed.rows), i / Math.max(1, observed.layers.length - 1), window, beta),
          ),
        )
      }),
  }
}

/** Rows of the layer at `depth` (0 first, 1 last) of a linear pyramid with mean `mean`. Even where it would leave a layer less than its window. */
function layerRows(length: number, mean: number, depth: number, window: number, beta: number): number {
  if (mean >= length) return length
  let [least, most] = [mean / beta, 2 * mean - mean / beta]
  if (most >= length - window) [least, most] = [2 * mean - (length - window), length - window]
  return most >= least && least >= window ? Math.round(most - depth * (most - least)) : mean
}
