/**
 * Llama 3's rope scaling as llama.cpp stores it: one divisor per frequency, in place of the four numbers it was made from. They are found again by
 * trying the ones all published models use with the largest divisor as the factor, else the context length that the divisors tell; nothing when the divisors do not come out.
 */
export function llama3Scaling(divisors: ArrayLike<number>, theta: number): Record<string, unknown> | undefined {
  const factor = Math.round(Math.max(...Array.from(divisors)) * 1000) / 1000
  const half = divisors.length
  const wavelength = (i: number) => 2 * Math.PI * theta ** (i / half)
  for (const original of [8192, contextOf(divisors, factor, wavelength)]) {
    const scaling = { rope_type: 'llama3', factor, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: original }
    if (Array.from(divisors).every((d, i) => Math.abs(d / divisorOf(wavelength(i), scaling) - 1) < 1e-4)) return scaling
  }
  return undefined
}

/** The context length that a divisor between 1 and the factor stands for. */
function contextOf(divisors: ArrayLike<number>, factor: number, wavelength: (i: number) => number): number {
  const i = Array.from(divisors).findIndex(d => d > 1 && d < factor * (1 - 1e-6))
  const smooth = i < 0 ? 0 : (1 / divisors[i] - 1 / factor) / (1 - 1 / factor)
  return i < 0 ? 0 : Math.round(wavelength(i) * (3 * smooth + 1))
}

/** The other way: one divisor per pair of a head of `headDim`. */
export function llama3Divisors(scaling: Llama3, theta: number, headDim: number): Float32Array {
  const half = headDim / 2
  return Float32Array.from({ length: half }, (_, i) => divisorOf(2 * Math.PI * theta ** (i / half), scaling))
}

interface Llama3 {
  factor: number
  low_freq_factor: number
  high_freq_factor: number
  original_max_position_embeddings: number
}

/** https://github.com/meta-llama/llama-models, apply_scaling */
function divisorOf(wavelength: number, s: Llama3): number {
  const turns = s.original_max_position_embeddings / wavelength
  if (turns > s.high_freq_factor) return 1
  if (turns < s.low_freq_factor) return s.factor
  const smooth = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor)
  return 1 / ((1 - smooth) / s.factor + smooth)
}
