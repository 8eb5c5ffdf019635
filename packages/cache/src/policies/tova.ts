import { massOf, type ScorePolicy, scorePolicy } from './scores.ts'

/** Keeps, for all heads of a layer alike, what the last query attends to. https://arxiv.org/abs/2401.06104 */
export const tova = (): ScorePolicy =>
  scorePolicy({
    name: 'tova',
    about: { title: 'TOVA', paper: 'https://arxiv.org/abs/2401.06104', family: 'attention', oracle: 'kvpress: TOVAPress' },
    observes: { mass: 1 },
    after: 'prefill',
    scores({ layers }, i) {
      const mass = massOf('tova', layers[i])
      const sum = mass[0].map((_, slot) => mass.reduce((n, head) => n + head[slot], 0))
      sum[sum.length - 1] = Number.POSITIVE_INFINITY
      return mass.map(() => sum)
    },
  })
