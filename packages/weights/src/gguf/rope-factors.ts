/**
 * Llama 3's rope scaling as llama.cpp stores it: one divisor per frequency, in place of the four numbers it was made from. They are found again by
 * trying the ones all published models use with the largest divisor as the factor; nothing when the divisors do not come out.
 */
export function llama3Scaling(divisors: ArrayLike<number>, theta: number): Record<string, unknown> | undefined {
  const factor = Math.round(Math.max(...Array.from(divisors)) * 1000) / 1000
  const scaling = { rope_type: 'llama3', factor, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 }
  const half = divisors.length
  for (let i = 0; i < half; i++) {
    const wavelength = 2 * Math.PI * theta ** (i / half)
    if (!(Math.abs(divisors[i] / divisorOf(wavelength, scaling) - 1) < 1e-4)) return undefined
  }
  return scaling
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
