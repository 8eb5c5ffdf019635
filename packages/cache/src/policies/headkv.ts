import { allowed, type EvictionPolicy } from '../policy.ts'
import { repetitionGates } from './head-roles.ts'
import { type KvZipOptions, repetition } from './kvzip.ts'
import { best, type ScorePolicy } from './scores.ts'
import { snapKv } from './snapkv.ts'

export interface HeadKvOptions {
  /** How much each key head retrieves from afar, per layer and head; without, how much each reads while the model repeats its prompt. */
  readonly importance?: readonly (readonly number[])[]
  /** How the prompt is repeated to measure that. */
  readonly repeat?: KvZipOptions
  /** Whose scores choose the rows of a head. */
  readonly by?: ScorePolicy
  /** Rows that always stay in every head: those the scores keep anyway. */
  readonly window?: number
  /** A head keeps (1 − 1/beta) of an even budget for sure; the rest is shared out by importance. */
  readonly beta?: number
  readonly temperature?: number
}

/** Rows per head, over all layers, by how much the head retrieves. https://arxiv.org/abs/2410.19258 */
export const headKv = ({
  importance,
  repeat,
  window = 32,
  by = snapKv({ window }),
  beta = 1.2,
  temperature = 1,
}: HeadKvOptions = {}): EvictionPolicy => ({
  name: 'headkv',
  about: { title: 'HeadKV', paper: 'https://arxiv.org/abs/2410.19258', family: 'budget', oracle: 'FYYFU/HeadKV: ReasonSnapKVCluster' },
  observes: by.observes,
  after: by.after,
  rehearse: importance ? undefined : repetition(repeat),
  plan(observed, budget, rehearsed) {
    const shares = sharesOf(importance ?? repetitionGates(rehearsed as Float32Array[][]), temperature)
    const heads = shares.flat().length
    return observed.layers.map((layer, i) => {
      const scores = by.scores(observed, i)
      return layer.rows.map(({ length }, h) => {
        const mean = allowed(budget, length, observed.rows)
        if (mean >= length) return best(scores[h], length)
        const base = Math.max(0, mean - window)
        const shared = Math.floor(base / beta)
        return best(scores[h], Math.min(mean, window) + Math.round(shares[i][h] * shared * heads + base - shared))
      })
    })
  },
})

function sharesOf(importance: readonly (readonly number[])[], temperature: number): number[][] {
  const total = sum(importance.flat())
  // No head stands out where none is of importance.
  const powers = importance.map(layer => layer.map(x => (total > 0 ? (x / total) ** temperature : 1)))
  const all = sum(powers.flat())
  return powers.map(layer => layer.map(x => x / all))
}
const sum = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0)
