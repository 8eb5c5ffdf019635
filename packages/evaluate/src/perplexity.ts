import { noOutput, type Runner } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import { tokenLoss } from './token-loss.ts'

export interface PerplexityOptions {
  /** Tokens per independent window; the whole text in one by default. A rest shorter than two tokens is left out. */
  readonly window?: number
  /** First tokens of each window that are only read, as a prompt: where a cache's policy acts after one. */
  readonly prompt?: number
  readonly signal?: AbortSignal
  onProgress?(done: number, total: number): void
}
export interface Perplexity {
  /** exp of the mean loss */
  readonly perplexity: number
  /** Mean loss per predicted token, nats. */
  readonly nll: number
  /** Predicted tokens: each window's first one is only context, as is its prompt. */
  readonly tokens: number
  /** Loss of each predicted token, in order. */
  readonly losses: Float32Array
}

/** Perplexity of a text under a model: exp of the mean negative log-likelihood of each token given those before it in its window. */
export async function perplexity(
  runner: Runner,
  ids: ArrayLike<number>,
  { window = ids.length, prompt = 0, signal, onProgress }: PerplexityOptions = {},
): Promise<Perplexity> {
  if (!(Number.isInteger(window) && window >= 2))
    throw new AttuneError('ERR_ARGUMENT', `a perplexity window needs at least 2 tokens, got ${window}`, { window })
  if (!(Number.isInteger(prompt) && prompt >= 0 && prompt <= window - 1))
    throw new AttuneError('ERR_ARGUMENT', `a prompt of ${prompt} tokens leaves nothing of a window of ${window}`, { prompt, window })
  const losses: number[] = []
  for (let start = 0; ids.length - start >= 2; start += window) {
    const part = Array.prototype.slice.call(ids, start, start + window) as number[]
    const targets = Int32Array.from(part, (_, i) => (i + 1 < part.length ? part[i + 1] : -1))
    const read = Math.min(Math.max(0, prompt - 1), part.length - 2)
    const sequence = runner.open()
    try {
      await runner.feed(sequence, part.slice(0, read), noOutput, undefined, { settle: true, signal })
      await runner.feed(
        sequence,
        part.slice(read),
        tokenLoss,
        async (r, from, to) => {
          const { data } = await r.read('nll')
          for (let i = from; i < Math.min(to, part.length - read - 1); i++) losses.push(data[i - from])
          onProgress?.(start + read + to, ids.length)
        },
        { signal, inputsFor: (from, to) => ({ targets: targets.subarray(read + from, read + to) }) },
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
