import { matrix } from '@attune/linalg'
import { type PositionSpec, ropeFrequencies } from '@attune/position'
import { jointLatent } from './joint-latent.ts'
import { mixKeys } from './key-mix.ts'
import { latentBridges } from './latent-method.ts'
import { count, eitherOf, isFalse, oneOf, positive, type SourceHeads } from './source-heads.ts'

/**
 * TransMLA: keys of all heads are mixed so that a few components hold most of what positions turn (see `mixKeys`), these become the shared
 * rotated key, and principal components of all other keys and of the values become the latent. With every key rotated
 * (`ropeDim` = kvHeads × rotary dims) and a latent of full width, both the defaults, it changes nothing; fewer of either is the approximation.
 * Options: `rope` complex | real, `freqfold` (neighbouring frequencies taken for one; by default as many as the rotated numbers ask for;
 * `auto`: for each layer what leaves most of its keys' energy turning as it did, see `KeyMix.faithful`), `balance` (1; keys' size against values' before principal components, or false), and for a config with `latentNorm` `norm` channel | gain,
 * `normScale` (300). Meng et al. 2025, https://arxiv.org/abs/2502.07864
 */
export const transMla = latentBridges({
  name: 'transmla',
  paper: 'https://arxiv.org/abs/2502.07864',
  options: { rope: oneOf('complex', 'real'), freqfold: eitherOf(oneOf('auto'), count), balance: eitherOf(isFalse, positive) },
  nopeDim: ({ kvHeads, headDim }, ropeDim) => (ropeDim < kvHeads * headDim ? headDim : 0),
  why({ kvHeads }, { ropeDim }, { rotary, position, options }) {
    const frequencies = (rotary?.dims ?? 0) / 2
    if (options?.freqfold === 'auto') return whyNotAuto(kvHeads, frequencies, ropeDim, position)
    const fold = foldOf(frequencies, ropeDim, options?.freqfold)
    if (frequencies % fold !== 0) return `freqfold ${fold} does not divide the ${frequencies} frequencies`
    const step = (2 * frequencies) / fold
    if (ropeDim <= 2 * kvHeads * frequencies && (step === 0 || ropeDim % step === 0)) return undefined
    return `ropeDim must be a multiple of ${step} (2 numbers in each block of ${fold} frequencies) up to ${2 * kvHeads * frequencies}, got ${ropeDim}`
  },
  async make({ source, to, components, rotary, position, options, moments }) {
    const keys = keysOf(moments, source)
    const pairs = (rotary?.dims ?? 0) / 2
    const frequencies = position?.kind === 'rope' ? ropeFrequencies(position, position.maxPositions).values : undefined
    const mix1 = (fold: number, mixing: 'real' | 'complex') =>
      mixKeys(keys, { ...source, rotary, components: to.ropeDim / 2, fold, mixing, frequencies })
    const fold =
      options.freqfold === 'auto'
        ? best(foldsOf(pairs, to.ropeDim), n => mix1(n, options.rope ?? 'complex').faithful ?? 0)
        : foldOf(pairs, to.ropeDim, options.freqfold)
    const mixed = (mixing: 'real' | 'complex') => mix1(fold, mixing)
    const [real, complex] = [mixed('real'), mixed('complex')]
    const mix = options.rope === 'real' ? real : complex
    const balance = options.balance === false ? undefined : (options.balance ?? 1)
    return {
      mix,
      latent: jointLatent({ still: mix.still, moments, components, balance }),
      nope: Array.from({ length: source.kvHeads }, () => Array.from({ length: to.nopeDim }, (_, i) => i)),
      figures: {
        ...{ ropeEnergyComplex: complex.kept, ropeEnergyReal: real.kept, freqfold: fold },
        ...(mix.faithful !== undefined && { ropeFaithful: mix.faithful }),
      },
    }
  },
})

const foldOf = (frequencies: number, ropeDim: number, asked: unknown): number =>
  (asked as number | undefined) ?? Math.max(1, Math.round((2 * frequencies) / Math.max(1, ropeDim)))

/** Numbers of neighbouring frequencies that may be taken for one: each block of them keeps as many components. */
const foldsOf = (frequencies: number, ropeDim: number): number[] =>
  Array.from({ length: frequencies }, (_, i) => i + 1).filter(n => frequencies % n === 0 && ropeDim % ((2 * frequencies) / n) === 0)
/** The first of the best. */
const best = (folds: readonly number[], of: (fold: number) => number): number =>
  folds.map(fold => ({ fold, value: of(fold) })).reduce((a, b) => (b.value > a.value ? b : a), { fold: 1, value: -1 }).fold

function whyNotAuto(kvHeads: number, frequencies: number, ropeDim: number, position?: PositionSpec): string | undefined {
  if (frequencies > 0 && position?.kind !== 'rope') return "freqfold 'auto' compares frequencies, and the layer's positions were not given"
  if (ropeDim <= 2 * kvHeads * frequencies && (frequencies === 0 ? ropeDim === 0 : foldsOf(frequencies, ropeDim).length > 0))
    return undefined
  return `ropeDim must be even and up to ${2 * kvHeads * frequencies} and fill blocks that divide the ${frequencies} frequencies, got ${ropeDim}`
}

/** Second moments of the keys, out of those of keys and values. */
function keysOf(moments: { data: Float64Array }, { kvHeads, headDim }: SourceHeads) {
  const n = kvHeads * headDim
  const keys = matrix(n, n)
  for (let i = 0; i < n; i++) keys.data.set(moments.data.subarray(i * 2 * n, i * 2 * n + n), i * n)
  return keys
}
