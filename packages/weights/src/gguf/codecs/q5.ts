import { q8_0 } from '@attune/tensor'
import { asQ8, fileCodec, half } from './codec.ts'

/** Value i of 32 in 5 bits: its low four bits as in q4_0 from `low` on, its fifth in a word at `high`. */
const five = (src: Uint8Array, high: number, low: number, i: number): number =>
  ((src[low + (i & 15)] >> (i & 16 ? 4 : 0)) & 15) | (((src[high + (i >> 3)] >> (i & 7)) & 1) << 4)

/** 5 bits around zero: half scale, the fifth bits, then 16 bytes as in `q4_0`. ggml's Q5_0; loaded as q8_0 without loss. */
export const q5_0 = fileCodec(
  'q5_0',
  32,
  22,
  q8_0,
  (src, at, dst, out) => {
    const scale = half(src, at)
    for (let i = 0; i < 32; i++) dst[out + i] = (five(src, at + 2, at + 6, i) - 16) * scale
  },
  asQ8((src, at, i) => five(src, at + 2, at + 6, i) - 16, 32),
)

/** 5 bits above a minimum: half scale, half minimum, then as in `q5_0`. ggml's Q5_1. */
export const q5_1 = fileCodec('q5_1', 32, 24, 'f16', (src, at, dst, out) => {
  const scale = half(src, at)
  const min = half(src, at + 2)
  for (let i = 0; i < 32; i++) dst[out + i] = five(src, at + 4, at + 8, i) * scale + min
})
