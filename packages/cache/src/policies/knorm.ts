import { partOf, type ScorePolicy, scorePolicy } from './scores.ts'

export interface KeyScoreOptions {
  /** The part that holds the keys. */
  readonly keys?: string
  readonly after?: 'prefill' | number
}

/** Keeps the keys of smallest norm, which tend to be attended to most. https://arxiv.org/abs/2406.11430 */
export const knorm = ({ keys = 'k', after = 'prefill' }: KeyScoreOptions = {}): ScorePolicy =>
  scorePolicy({
    name: 'knorm',
    about: { title: 'Key norm', paper: 'https://arxiv.org/abs/2406.11430', family: 'keys', oracle: 'kvpress: KnormPress' },
    observes: { parts: [keys] },
    after,
    scores: ({ layers }, i) => partOf('knorm', layers[i], keys).map((rows, h) => norms(rows, layers[i].rows[h].length).map(n => -n)),
  })

/** Euclidean norm of each of `count` rows. */
export function norms(rows: Float32Array, count: number): Float32Array {
  const width = rows.length / count
  return Float32Array.from({ length: count }, (_, i) => Math.hypot(...rows.subarray(i * width, (i + 1) * width)))
}
