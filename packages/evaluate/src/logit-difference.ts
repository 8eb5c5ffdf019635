import { AttuneError } from '@attune/tensor'

/** How logits of two models differ on the same tokens. `a` is the source. */
export interface LogitDifference {
  readonly tokens: number
  /** KL(a ‖ b) of the next-token distribution at each token, nats. */
  readonly kl: Float32Array
  readonly meanKl: number
  readonly maxKl: number
  /** Largest |logit difference| anywhere. */
  readonly maxLogitDifference: number
  /** Fraction of tokens where both like the same next token best. */
  readonly topAgreement: number
  /** First token index whose best next token differs, or −1. */
  readonly firstDivergence: number
}

/** Compares logits (tokens, vocab) that any two programs gave; sums in float64. Errors: `ERR_SHAPE` where the sizes do not fit. */
export function logitDifference(a: ArrayLike<number>, b: ArrayLike<number>, vocab: number): LogitDifference {
  const tokens = a.length / vocab
  if (!Number.isInteger(tokens) || tokens < 1 || b.length !== a.length)
    throw new AttuneError('ERR_SHAPE', `logits of ${a.length} and ${b.length} numbers are no rows of ${vocab}`, { vocab })
  const kl = new Float32Array(tokens)
  let largest = 0
  let agree = 0
  let first = -1
  for (let t = 0; t < tokens; t++) {
    const [p, q] = [distribution(a, t * vocab, vocab), distribution(b, t * vocab, vocab)]
    let sum = 0
    for (let i = 0; i < vocab; i++) {
      const [x, y] = [a[t * vocab + i], b[t * vocab + i]]
      largest = Math.max(largest, Math.abs(x - y))
      sum += Math.exp(x - p.logSum) * (x - p.logSum - (y - q.logSum))
    }
    kl[t] = Math.max(0, sum)
    if (p.best === q.best) agree++
    else if (first < 0) first = t
  }
  const total = kl.reduce((x, y) => x + y, 0)
  return {
    tokens,
    kl,
    meanKl: total / tokens,
    maxKl: kl.reduce((x, y) => Math.max(x, y), 0),
    maxLogitDifference: largest,
    topAgreement: agree / tokens,
    firstDivergence: first,
  }
}

function distribution(x: ArrayLike<number>, from: number, count: number): { best: number; logSum: number } {
  let best = 0
  for (let i = 1; i < count; i++) if (x[from + i] > x[from + best]) best = i
  let sum = 0
  for (let i = 0; i < count; i++) sum += Math.exp(x[from + i] - x[from + best])
  return { best, logSum: x[from + best] + Math.log(sum) }
}
