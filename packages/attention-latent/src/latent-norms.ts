import type { ConstantGain } from './latent-params.ts'

/** `channel`: a further channel of constant value, beside which the latent's own size is nothing; `gain`: a constant in place of each token's own. */
export type NormMethod = 'channel' | 'gain'

/**
 * How a root-mean-square norm leaves a vector of `components` numbers with mean square length `square` as it is: with a channel of value
 * C = `times` · |c|, the relative error is about |c|² / 2C².
 */
export function constantGain(
  method: NormMethod,
  components: number,
  square: number,
  { eps, times }: { eps: number; times: number },
): ConstantGain {
  const size = square > 0 ? square : 1
  if (method === 'gain') return { gain: Math.sqrt(size / components + eps) }
  const channel = Math.fround(times * Math.sqrt(size))
  return { channel, gain: Math.sqrt((channel ** 2 + size) / (components + 1) + eps) }
}
