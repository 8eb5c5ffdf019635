import { AttuneError } from '@attune/expr'
import type { Frequencies, RopeSpec } from './rope.ts'

/** How a `rope_type` changes the frequencies. */
export interface ScalingRule {
  /** Keys of `rope_scaling` the rule reads. */
  readonly keys: readonly string[]
  /** The frequencies depend on the length of the sequence, from one token to the next. */
  readonly varies: boolean
  /** Length beyond which all positions of a sequence turn by other frequencies, those before as well. */
  edge?(spec: RopeSpec): number
  frequencies(spec: RopeSpec, span: number): Frequencies
}

const f = Math.fround

/** base^(2i/dims), as float32 arithmetic gives it. An odd number of dims turns one more. */
export function inverseFrequencies(dims: number, base: number): Float32Array {
  return Float32Array.from({ length: Math.ceil(dims / 2) }, (_, i) => f(1 / f(f(base) ** f(f(2 * i) / f(dims)))))
}

export const scalings: Readonly<Record<string, ScalingRule>> = {
  default: { keys: [], varies: false, frequencies: ({ dims, theta }) => ({ values: inverseFrequencies(dims, theta), factor: 1 }) },
  linear: {
    keys: ['factor'],
    varies: false,
    frequencies: spec => ({ values: inverseFrequencies(spec.dims, spec.theta).map(x => f(x / f(number(spec, 'factor')))), factor: 1 }),
  },
  /** NTK scaling whose base grows with the sequence. */
  dynamic: {
    keys: ['factor', 'original_max_position_embeddings'],
    varies: true,
    frequencies(spec, span) {
      const factor = number(spec, 'factor')
      const trained = number(spec, 'original_max_position_embeddings', spec.maxPositions)
      const length = Math.max(span, trained)
      const base = spec.theta * ((factor * length) / trained - (factor - 1)) ** (spec.dims / (spec.dims - 2))
      return { values: inverseFrequencies(spec.dims, base), factor: 1 }
    },
  },
  /** Peng et al. 2023, https://arxiv.org/abs/2309.00071 */
  yarn: {
    keys: [
      'factor',
      'attention_factor',
      'mscale',
      'mscale_all_dim',
      'beta_fast',
      'beta_slow',
      'truncate',
      'original_max_position_embeddings',
    ],
    varies: false,
    frequencies(spec) {
      const { dims, theta } = spec
      const factor = number(spec, 'factor')
      const trained = number(spec, 'original_max_position_embeddings', spec.maxPositions)
      const correction = (rotations: number): number => (dims * Math.log(trained / (rotations * 2 * Math.PI))) / (2 * Math.log(theta))
      const round = spec.scaling?.truncate === false ? (x: number) => x : undefined
      const low = Math.max((round ?? Math.floor)(correction(number(spec, 'beta_fast', 32))), 0)
      const high = Math.min((round ?? Math.ceil)(correction(number(spec, 'beta_slow', 1))), dims - 1)
      const plain = inverseFrequencies(dims, theta)
      const values = plain.map((own, i) => {
        const ramp = f(Math.min(1, Math.max(0, (i - low) / (high === low ? 0.001 : high - low))))
        const keep = f(1 - ramp)
        return f(f(f(own / f(factor)) * f(1 - keep)) + f(own * keep))
      })
      return { values, factor: yarnFactor(spec, factor) }
    },
  },
  /** Frequencies of Llama 3.1: long waves are stretched, short ones kept, those between interpolated. */
  llama3: {
    keys: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
    varies: false,
    frequencies(spec) {
      const factor = number(spec, 'factor')
      const low = number(spec, 'low_freq_factor')
      const high = number(spec, 'high_freq_factor')
      const trained = number(spec, 'original_max_position_embeddings', spec.maxPositions)
      const values = inverseFrequencies(spec.dims, spec.theta).map(x => {
        const wave = f((2 * Math.PI) / x)
        if (wave < trained / high) return x
        if (wave > trained / low) return f(x / f(factor))
        const smooth = f(f(f(trained / wave) - low) / f(high - low))
        return f(f(f(1 - smooth) * f(x / f(factor))) + f(smooth * x))
      })
      return { values, factor: 1 }
    },
  },
  /** A divisor for each frequency, others where a sequence is longer than the model's first context. https://arxiv.org/abs/2402.13753 */
  longrope: {
    keys: ['factor', 'attention_factor', 'short_factor', 'long_factor', 'original_max_position_embeddings'],
    varies: false,
    edge: spec => number(spec, 'original_max_position_embeddings', spec.maxPositions),
    frequencies(spec, span) {
      const trained = number(spec, 'original_max_position_embeddings', spec.maxPositions)
      const divisors = numbers(spec, span > trained ? 'long_factor' : 'short_factor')
      const values = Float32Array.from(divisors, (by, i) => f(1 / f(f(by) * f(f(spec.theta) ** f(f(2 * i) / f(spec.dims))))))
      const factor = number(spec, 'factor', spec.maxPositions / trained)
      return { values, factor: number(spec, 'attention_factor', factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(trained))) }
    },
  },
}

function yarnFactor(spec: RopeSpec, factor: number): number {
  const s = spec.scaling ?? {}
  if (typeof (s as Record<string, unknown>).attention_factor === 'number') return number(spec, 'attention_factor')
  const mscale = (by: number): number => (factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1)
  const { mscale: a, mscale_all_dim: b } = s as { mscale?: unknown; mscale_all_dim?: unknown }
  return a && b ? mscale(number(spec, 'mscale')) / mscale(number(spec, 'mscale_all_dim')) : mscale(1)
}

function number(spec: RopeSpec, key: string, otherwise?: number): number {
  const x = (spec.scaling as Record<string, unknown> | undefined)?.[key] ?? otherwise
  if (typeof x !== 'number' || !Number.isFinite(x))
    throw new AttuneError(
      'ERR_FORMAT',
      `config.json: rope scaling '${spec.scaling?.type}' needs a number '${key}', got ${JSON.stringify(x)}`,
      { key, value: x },
    )
  return x
}

/** One number per frequency. */
function numbers(spec: RopeSpec, key: string): readonly number[] {
  const list = (spec.scaling as Record<string, unknown> | undefined)?.[key]
  const want = Math.ceil(spec.dims / 2)
  if (!Array.isArray(list) || list.length !== want || list.some(x => typeof x !== 'number' || !(x > 0)))
    throw new AttuneError('ERR_FORMAT', `config.json: rope scaling '${spec.scaling?.type}' needs ${want} positive numbers '${key}'`, {
      key,
      value: list,
    })
  return list
}
