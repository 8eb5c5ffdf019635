import { q8_0 } from '@attune/tensor'
import { asQ8, fileCodec, half } from './codec.ts'

const LEVELS = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
/** Twice the values of a float of 4 bits (e2m1). */
const DOUBLED = Int8Array.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)

/** Value i of `n` in nibbles: the first half of the values in the low ones. */
const nibble = (src: Uint8Array, at: number, n: number, i: number): number => (i < n / 2 ? src[at + i] & 15 : src[at + i - n / 2] >> 4)

/** 4 bits that pick one of 16 levels: half scale, 16 bytes. ggml's IQ4_NL; loaded as q8_0 without loss. */
export const iq4_nl = fileCodec(
  'iq4_nl',
  32,
  18,
  q8_0,
  (src, at, dst, out) => {
    const scale = half(src, at)
    for (let i = 0; i < 32; i++) dst[out + i] = LEVELS[nibble(src, at + 2, 32, i)] * scale
  },
  asQ8((src, at, i) => LEVELS[nibble(src, at + 2, 32, i)], 32),
)

/** As `iq4_nl`, 8 groups of 32 with 6-bit signed scales. ggml's IQ4_XS. */
export const iq4_xs = fileCodec('iq4_xs', 256, 136, 'f16', (src, at, dst, out) => {
  const scale = half(src, at)
  const highs = src[at + 2] | (src[at + 3] << 8)
  for (let g = 0; g < 8; g++) {
    const low = (src[at + 4 + (g >> 1)] >> ((g & 1) * 4)) & 15
    const d = scale * ((low | (((highs >> (2 * g)) & 3) << 4)) - 32)
    for (let i = 0; i < 32; i++) dst[out + 32 * g + i] = d * LEVELS[nibble(src, at + 8 + 16 * g, 32, i)]
  }
})

/** Floats of 4 bits under a power of two per 32 (OCP microscaling). ggml's MXFP4; bf16 holds every value. */
export const mxfp4 = fileCodec('mxfp4', 32, 17, 'bf16', (src, at, dst, out) => {
  const scale = 2 ** (src[at] - 128)
  for (let i = 0; i < 32; i++) dst[out + i] = DOUBLED[nibble(src, at + 1, 32, i)] * scale
})

/** Floats of 4 bits, four groups of 16 with a float of 8 bits each (e4m3 without sign). ggml's NVFP4; bf16 holds every value. */
export const nvfp4 = fileCodec('nvfp4', 64, 36, 'bf16', (src, at, dst, out) => {
  for (let g = 0; g < 4; g++) {
    const byte = src[at + g]
    const [exponent, fraction] = [(byte >> 3) & 15, byte & 7]
    const scale = byte === 0x7f ? 0 : exponent === 0 ? fraction * 2 ** -10 : (8 + fraction) * 2 ** (exponent - 11)
    for (let i = 0; i < 16; i++) dst[out + 16 * g + i] = DOUBLED[nibble(src, at + 4 + 8 * g, 16, i)] * scale
  }
})
