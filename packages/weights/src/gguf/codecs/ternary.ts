import { q8_0 } from '@attune/tensor'
import { asQ8, fileCodec, half } from './codec.ts'

const POWERS = [1, 3, 9, 27, 81]

/** Value i of 256: five to a byte as digits of base 3, the last 16 four to a byte. */
function third(src: Uint8Array, at: number, i: number): number {
  const [byte, digit] =
    i < 160
      ? [i % 32, Math.floor(i / 32)]
      : i < 240
        ? [32 + ((i - 160) % 16), Math.floor((i - 160) / 16)]
        : [48 + ((i - 240) % 4), (i - 240) >> 2]
  return ((((src[at + byte] * POWERS[digit]) & 255) * 3) >> 8) - 1
}
const quarter = (src: Uint8Array, at: number, i: number): number => ((src[at + (i >> 7) * 32 + (i & 31)] >> (((i >> 5) & 3) * 2)) & 3) - 1

const ternary = (name: string, bytes: number, digit: typeof third) =>
  fileCodec(
    name,
    256,
    bytes,
    q8_0,
    (src, at, dst, out) => {
      const scale = half(src, at + bytes - 2)
      for (let i = 0; i < 256; i++) dst[out + i] = digit(src, at, i) * scale
    },
    asQ8(digit, 256, bytes - 2),
  )

/** −1, 0 or 1 times a half: 1.69 bits. ggml's TQ1_0; loaded as q8_0 without loss. */
export const tq1_0 = ternary('tq1_0', 54, third)
/** −1, 0 or 1 times a half: 2.06 bits. ggml's TQ2_0; loaded as q8_0 without loss. */
export const tq2_0 = ternary('tq2_0', 66, quarter)
