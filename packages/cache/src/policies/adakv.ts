import { allowed, type EvictionPolicy } from '../policy.ts'
import { best, type ScorePolicy } from './scores.ts'
import { snapKv } from './snapkv.ts'

export interface AdaKvOptions {
  /** Whose scores are compared. */
  readonly by?: ScorePolicy
  /** Share of an even budget that every head has for sure. */
  readonly safeguard?: number
}

/** One budget for all heads of a layer: the best rows of any head stay, so heads keep as many as they need. https://arxiv.org/abs/2407.11550 */
export const adaKv = ({ by = snapKv(), safeguard = 0.2 }: AdaKvOptions = {}): EvictionPolicy => ({
  name: 'adakv',
  about: { title: 'Ada-KV', paper: 'https://arxiv.org/abs/2407.11550', family: 'budget', oracle: 'kvpress: AdaKVPress' },
  observes: by.observes,
  after: by.after,
  plan: (observed, budget) =>
    observed.layers.map((layer, i) => {
      const counts = layer.rows.map(rows => allowed(budget, rows.length, observed.rows))
      const scores = by.scores(observed, i).map((own, h) => {
        const safe = Float32Array.from(own)
        for (const slot of best(own, Math.max(1, Math.floor(counts[h] * safeguard)))) safe[slot] = Number.POSITIVE_INFINITY
        return safe
      })
      return bestOfAll(
        scores,
        counts.reduce((a, b) => a + b, 0),
      )
    }),
})

/** The `count` best slots of several heads together: each head's, ascending. */
export function bestOfAll(scores: readonly Float32Array[], count: number): Int32Array[] {
  const starts = [0]
  for (const s of scores) starts.push(starts[starts.length - 1] + s.length)
  const flat = new Float32Array(starts[scores.length])
  for (const [h, s] of scores.entries()) flat.set(s, starts[h])
  const slots = best(flat, count)
  return scores.map((s, h) => slots.filter(x => x >= starts[h] && x < starts[h] + s.length).map(x => x - starts[h]))
}
