import { type KeyScoreOptions, norms } from './knorm.ts'
import { partOf, type ScorePolicy, scorePolicy } from './scores.ts'

/** Keeps the keys that point least where the mean direction of all keys points. https://arxiv.org/abs/2504.15364 */
export const keyDiff = ({ keys = 'k', after = 'prefill' }: KeyScoreOptions = {}): ScorePolicy =>
  scorePolicy({
    name: 'keydiff',
    about: { title: 'KeyDiff', paper: 'https://arxiv.org/abs/2504.15364', family: 'keys', oracle: 'kvpress: KeyDiffPress' },
    observes: { parts: [keys] },
    after,
    scores: ({ layers }, i) => partOf('keydiff', layers[i], keys).map((rows, h) => likeness(rows, layers[i].rows[h].length).map(x => -x)),
  })

/** Cosine of each row with the mean of all rows' directions. */
function likeness(rows: Float32Array, count: number): Float32Array {
  const width = rows.length / count
  const length = norms(rows, count)
  const anchor = new Float64Array(width)
  for (let i = 0; i < count; i++) for (let d = 0; d < width; d++) anchor[d] += rows[i * width + d] / Math.max(length[i], 1e-12)
  const own = Math.hypot(...anchor)
  return length.map((n, i) => {
    let dot = 0
    for (let d = 0; d < width; d++) dot += rows[i * width + d] * anchor[d]
    return dot / Math.max(n * own, 1e-12)
  })
}
