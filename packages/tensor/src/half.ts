const F32 = new Float32Array(1)
const U32 = new Uint32Array(F32.buffer)

/** Value of an IEEE binary16 word (subnormals, infinities and NaN included). */
export function halfToFloat(h: number): number {
  const sign = h & 0x8000 ? -1 : 1
  const exponent = (h >> 10) & 31
  const fraction = h & 0x3ff
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25)
}

/** Nearest IEEE binary16 word of a number first rounded to f32, ties to even; overflow gives infinity, NaN stays a (quiet) NaN. */
export function floatToHalf(x: number): number {
  F32[0] = x
  const bits = U32[0]
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude >= 0x7f800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 | ((magnitude >> 13) & 0x1ff) : 0x7c00)
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude >= 0x38800000) return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13)
  if (magnitude < 0x33000000) return sign
  const shift = 126 - (magnitude >> 23) // subnormal: the implicit one moves into the fraction
  const fraction = (magnitude & 0x7fffff) | 0x800000
  const half = 1 << (shift - 1)
  const kept = fraction >> shift
  const rest = fraction & ((1 << shift) - 1)
  return sign | (rest > half || (rest === half && kept & 1) ? kept + 1 : kept)
}

/** Value of a bfloat16 word. */
export function bf16ToFloat(h: number): number {
  U32[0] = h << 16
  return F32[0]
}

/** Nearest bfloat16 word of a number first rounded to f32, ties to even; NaN stays a (quiet) NaN. */
export function floatToBf16(x: number): number {
  F32[0] = x
  const bits = U32[0]
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff
}
