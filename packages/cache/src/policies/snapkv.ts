import { massOf, recentSlots, type ScorePolicy, scorePolicy } from './scores.ts'

export interface SnapKvOptions {
  /** Last queries of the prompt that vote; their own rows always stay. */
  readonly window?: number
  /** Neighbouring slots whose votes are pooled; odd. An answer is found whole if it fits half of it. */
  readonly kernel?: number
  readonly pool?: 'mean' | 'max'
}

/** Keeps what the prompt's last queries attend to, smoothed over neighbours. https://arxiv.org/abs/2404.14469 */
export const snapKv = ({ window = 32, kernel = 13, pool = 'max' }: SnapKvOptions = {}): ScorePolicy =>
  scorePolicy({
    name: 'snapkv',
    about: { title: 'SnapKV', paper: 'https://arxiv.org/abs/2404.14469', family: 'attention', oracle: 'kvpress: SnapKVPress' },
    observes: { mass: window },
    after: 'prefill',
    scores({ rows: total, layers }, i) {
      const layer = layers[i]
      return massOf('snapkv', layer).map((mass, h) => {
        const old = mass.length - recentSlots(layer.rows[h], total, window)
        const scores = new Float32Array(mass.length).fill(Number.POSITIVE_INFINITY)
        scores.set(pooled(mass.subarray(0, old), kernel, pool))
        return scores
      })
    },
  })

/** Pooling with stride 1 over a window centred on each slot; outside there are zeros (mean) or nothing (max). */
function pooled(x: Float32Array, kernel: number, pool: 'mean' | 'max'): Float32Array {
  const half = kernel >> 1
  return x.map((_, i) => {
    const near = x.subarray(Math.max(0, i - half), i + half + 1)
    return pool === 'max' ? Math.max(...near) : near.reduce((a, b) => a + b, 0) / kernel
  })
}
