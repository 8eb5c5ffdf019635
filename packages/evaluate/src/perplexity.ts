import type { Runner } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import { tokenLoss } from './token-loss.ts'

export interface PerplexityOptions {
  /** Tokens per independent window; the whole text in one by default. A rest shorter than two tokens is left out. */
  readonly window?: number
  readonly signal?: AbortSignal
  onProgress?(done: number, total: number): void
}
export interface Perplexity {
  /** exp of the mean loss */
  readonly perplexity: number
  /** Mean loss per predicted token, nats. */
  readonly nll: number
  /** Predicted tokens: each window's first one is only context. */
  readonly tokens: number
  /** Loss of each predicted token, in order. */
  readonly losses: Float32Array
}

/** Perplexity of a text under a model: exp of the mean negative log-likelihood of each token given those before it in its window. */
export async function perplexity(
  runner: Runner,
  ids: ArrayLike<number>,
  { window = ids.length, signal, onProgress }: PerplexityOptions = {},
): Promise<Perplexity> {
  if (!(Number.isInteger(window) && window >= 2))
    throw new AttuneError('ERR_ARGUMENT', `a perplexity window needs at least 2 tokens, got ${window}`, { window })
  const losses: number[] = []
  for (let start = 0; ids.length - start >= 2; start += window) {
    const part = Array.prototype.slice.call(ids, start, start + window) as number[]
    const targets = Int32Array.from(part, (_, i) => (i + 1 < part.length ? part[i + 1] : -1))
    const sequence = runner.open()
    try {
      await runner.feed(
        sequence,
        part,
        tokenLoss,
        async (r, from, to) => {
          const { data } = await r.read('nll')
          for (let i = from; i < Math.min(to, part.length - 1); i++) losses.push(data[i - from])
          onProgress?.(start + to, ids.length)
        },
        { signal, inputsFor: (from, to) => ({ targets: targets.subarray(from, to) }) },
      )
    } finally {
      runner.close(sequence)
    }
  }
  if (losses.length === 0)
    throw new AttuneError('ERR_ARGUMENT', `perplexity needs at least 2 tokens, got ${ids.length}`, { tokens: ids.length })
  const nll = losses.reduce((a, b) => a + b, 0) / losses.length
  return { perplexity: Math.exp(nll), nll, tokens: losses.length, losses: Float32Array.from(losses) }
}
