import { matrix } from '@attune/linalg'
import { jointLatent } from './joint-latent.ts'
import { mixKeys } from './key-mix.ts'
import { latentBridges } from './latent-method.ts'
import { count, eitherOf, isFalse, oneOf, positive, type SourceHeads } from './source-heads.ts'

/**
 * TransMLA: keys of all heads are mixed so that a few components hold most of what positions turn (see `mixKeys`), these become the shared
 * rotated key, and principal components of all other keys and of the values become the latent. With every key rotated
 * (`ropeDim` = kvHeads × rotary dims) and a latent of full width, both the defaults, it changes nothing; fewer of either is the approximation.
 * Options: `rope` complex | real, `freqfold` (neighbouring frequencies taken for one; by default as many as the rotated numbers ask for),
 * `balance` (1; keys' size against values' before principal components, or false), and for a config with `latentNorm` `norm` channel | gain,
 * `normScale` (300). Meng et al. 2025, https://arxiv.org/abs/2502.07864
 */
export const transMla = latentBridges({
  name: 'transmla',
  paper: 'https://arxiv.org/abs/2502.07864',
  options: { rope: oneOf('complex', 'real'), freqfold: count, balance: eitherOf(isFalse, positive) },
  nopeDim: ({ kvHeads, headDim }, ropeDim) => (ropeDim < kvHeads * headDim ? headDim : 0),
  why({ kvHeads }, { ropeDim }, { rotary, options }) {
    const frequencies = (rotary?.dims ?? 0) / 2
    const fold = foldOf(frequencies, ropeDim, options?.freqfold)
    if (frequencies % fold !== 0) return `freqfold ${fold} does not divide the ${frequencies} frequencies`
    const step = (2 * frequencies) / fold
    if (ropeDim <= 2 * kvHeads * frequencies && (step === 0 || ropeDim % step === 0)) return undefined
    return `ropeDim must be a multiple of ${step} (2 numbers in each block of ${fold} frequencies) up to ${2 * kvHeads * frequencies}, got ${ropeDim}`
  },
  async make({ source, to, components, rotary, options, moments }) {
    const keys = keysOf(moments, source)
    const fold = foldOf((rotary?.dims ?? 0) / 2, to.ropeDim, options.freqfold)
    const mixed = (mixing: 'real' | 'complex') => mixKeys(keys, { ...source, rotary, components: to.ropeDim / 2, fold, mixing })
    const [real, complex] = [mixed('real'), mixed('complex')]
    const mix = options.rope === 'real' ? real : complex
    const balance = options.balance === false ? undefined : (options.balance ?? 1)
    return {
      mix,
      latent: jointLatent({ still: mix.still, moments, components, balance }),
      nope: Array.from({ length: source.kvHeads }, () => Array.from({ length: to.nopeDim }, (_, i) => i)),
      figures: { ropeEnergyComplex: complex.kept, ropeEnergyReal: real.kept },
    }
  },
})

const foldOf = (frequencies: number, ropeDim: number, asked: unknown): number =>
  (asked as number | undefined) ?? Math.max(1, Math.round((2 * frequencies) / Math.max(1, ropeDim)))

/** Second moments of the keys, out of those of keys and values. */
function keysOf(moments: { data: Float64Array }, { kvHeads, headDim }: SourceHeads) {
  const n = kvHeads * headDim
  const keys = matrix(n, n)
  for (let i = 0; i < n; i++) keys.data.set(moments.data.subarray(i * 2 * n, i * 2 * n + n), i * n)
  return keys
}
