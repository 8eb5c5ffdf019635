import { type ScorePolicy, scorePolicy } from './scores.ts'

/** Keeps rows at random: what every other policy has to beat. Equal seeds keep equal rows. */
export const randomRows = ({ seed = 1, after = 'prefill' as 'prefill' | number } = {}): ScorePolicy =>
  scorePolicy({
    name: 'random',
    about: { title: 'Random rows', family: 'baseline' },
    observes: {},
    after,
    scores: ({ layers }, i) => layers[i].rows.map((rows, h) => Float32Array.from(rows, row => hash(seed, i, h, row))),
  })

/** Evenly spread over [0, 1): a row keeps its number however often the policy acts. */
function hash(...numbers: number[]): number {
  let x = 0x9e3779b9
  for (const n of numbers) {
    x = Math.imul(x ^ n, 0x85ebca6b)
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
    x ^= x >>> 16
  }
  return (x >>> 0) / 2 ** 32
}
