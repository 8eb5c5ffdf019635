import { fileCodec, half, signed } from './codec.ts'

/*
 * ggml's K-quants: blocks of 256 values in groups of 16 or 32, each group with a scale (and a minimum) of a few bits times a half of the
 * block. https://github.com/ggml-org/llama.cpp/pull/1684. Values are computed in double and rounded once, which is what ggml's f32 gives.
 */

/** 2 bits, 16 groups with 4-bit scales and minima. */
export const q2_k = fileCodec('q2_k', 256, 84, 'f16', (src, at, dst, out) => {
  const scale = half(src, at + 80)
  const min = half(src, at + 82)
  for (let g = 0; g < 16; g++) {
    const [d, m] = [scale * (src[at + g] & 15), min * (src[at + g] >> 4)]
    const bytes = at + 16 + (g >> 3) * 32 + (g & 1) * 16
    const shift = ((g >> 1) & 3) * 2
    for (let i = 0; i < 16; i++) dst[out + 16 * g + i] = d * ((src[bytes + i] >> shift) & 3) - m
  }
})

/** 3 bits, 16 groups with 6-bit signed scales; a value's third bit says that 4 is not taken off. */
export const q3_k = fileCodec('q3_k', 256, 110, 'f16', (src, at, dst, out) => {
  const scale = half(src, at + 108)
  for (let g = 0; g < 16; g++) {
    const low = (src[at + 96 + (g & 7)] >> (g & 8 ? 4 : 0)) & 15
    const high = (src[at + 104 + (g & 3)] >> ((g >> 2) * 2)) & 3
    const d = scale * ((low | (high << 4)) - 32)
    const half16 = (g & 1) * 16
    const bytes = at + 32 + (g >> 3) * 32 + half16
    const shift = ((g >> 1) & 3) * 2
    for (let i = 0; i < 16; i++) {
      const kept = (src[at + half16 + i] >> (g >> 1)) & 1
      dst[out + 16 * g + i] = d * (((src[bytes + i] >> shift) & 3) - (kept ? 0 : 4))
    }
  }
})

/** Six-bit scale and minimum of group g among 8, in 12 bytes. */
const scaleOf = (src: Uint8Array, at: number, g: number): number =>
  g < 4 ? src[at + g] & 63 : (src[at + 4 + g] & 15) | ((src[at + g - 4] >> 2) & 48)
const minOf = (src: Uint8Array, at: number, g: number): number =>
  g < 4 ? src[at + 4 + g] & 63 : (src[at + 4 + g] >> 4) | ((src[at + g] >> 2) & 48)

/** 4 bits, 8 groups with 6-bit scales and minima. */
export const q4_k = fileCodec('q4_k', 256, 144, 'f16', (src, at, dst, out) => {
  const scale = half(src, at)
  const min = half(src, at + 2)
  for (let g = 0; g < 8; g++) {
    const [d, m] = [scale * scaleOf(src, at + 4, g), min * minOf(src, at + 4, g)]
    const bytes = at + 16 + (g >> 1) * 32
    const shift = (g & 1) * 4
    for (let i = 0; i < 32; i++) dst[out + 32 * g + i] = d * ((src[bytes + i] >> shift) & 15) - m
  }
})

/** 5 bits, as `q4_k` with the fifth bits in 32 bytes. */
export const q5_k = fileCodec('q5_k', 256, 176, 'f16', (src, at, dst, out) => {
  const scale = half(src, at)
  const min = half(src, at + 2)
  for (let g = 0; g < 8; g++) {
    const [d, m] = [scale * scaleOf(src, at + 4, g), min * minOf(src, at + 4, g)]
    const bytes = at + 48 + (g >> 1) * 32
    const shift = (g & 1) * 4
    for (let i = 0; i < 32; i++) dst[out + 32 * g + i] = d * (((src[bytes + i] >> shift) & 15) | (((src[at + 16 + i] >> g) & 1) << 4)) - m
  }
})

/** 6 bits around zero, 16 groups with signed 8-bit scales. */
export const q6_k = fileCodec('q6_k', 256, 210, 'f16', (src, at, dst, out) => {
  const scale = half(src, at + 208)
  for (let g = 0; g < 16; g++) {
    const d = scale * signed(src[at + 192 + g])
    const part = (g >> 1) & 3 // quarter of a half block of 128
    const within = (g & 1) * 16
    const low = at + (g >> 3) * 64 + (part & 1) * 32 + within
    const high = at + 128 + (g >> 3) * 32 + within
    const shift = part >> 1 ? 4 : 0
    for (let i = 0; i < 16; i++)
      dst[out + 16 * g + i] = d * ((((src[low + i] >> shift) & 15) | (((src[high + i] >> (2 * part)) & 3) << 4)) - 32)
  }
})
