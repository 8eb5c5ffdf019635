import { allowed } from '../policy.ts'
import { best, massOf, recentSlots, type ScorePolicy, scorePolicy } from './scores.ts'

export interface H2oOptions {
  /** Share of the budget that goes to the latest rows. */
  readonly recent?: number
  /** Acts again whenever this many rows have come. */
  readonly after?: 'prefill' | number
}

/** Heavy hitters: rows with the most weight under all queries so far, and the latest rows. https://arxiv.org/abs/2306.14048 */
export const h2o = ({ recent = 0.5, after = 'prefill' }: H2oOptions = {}): ScorePolicy => {
  const policy = scorePolicy({
    name: 'h2o',
    about: {
      title: 'H2O, heavy hitters',
      paper: 'https://arxiv.org/abs/2306.14048',
      family: 'attention',
      oracle: 'FMInference/H2O: H2OKVCache_LayerWise',
    },
    observes: { mass: 'all' },
    after,
    scores: ({ layers }, i) => massOf('h2o', layers[i]),
  })
  return {
    ...policy,
    plan: (observed, budget) =>
      observed.layers.map((layer, i) =>
        policy.scores(observed, i).map((mass, h) => {
          const count = allowed(budget, mass.length, observed.rows)
          const scores = Float32Array.from(mass)
          const late = recentSlots(layer.rows[h], observed.rows, Math.floor(recent * count))
          if (late > 0) scores.fill(Number.POSITIVE_INFINITY, -late)
          return best(scores, count)
        }),
      ),
  }
}

/** Rows with the most weight per query that could see them. A part of NVIDIA's kvpress, related to H2O. */
export const observedAttention = ({ after = 'prefill' }: Pick<H2oOptions, 'after'> = {}): ScorePolicy =>
  scorePolicy({
    name: 'observed-attention',
    about: {
      title: 'Observed attention',
      paper: 'https://arxiv.org/abs/2306.14048',
      family: 'attention',
      oracle: 'kvpress: ObservedAttentionPress',
    },
    observes: { mass: 'all' },
    after,
    scores: ({ rows: total, layers }, i) =>
      massOf('observed-attention', layers[i]).map((mass, h) => mass.map((m, slot) => m / (total - layers[i].rows[h][slot]))),
  })
