import type { Codec } from './dtype.ts'
import { floatToHalf, halfToFloat } from './half.ts'

/** 4 bits around zero: half scale, then 16 bytes (value i in the low nibble, value i + 16 in the high one). ggml's Q4_0. */
export const q4_0: Codec = {
  kind: 'codec',
  name: 'q4_0',
  block: 32,
  bytes: 18,
  decode(src, dst) {
    for (let at = 0, out = 0; out < dst.length; at += 18, out += 32) {
      const scale = half(src, at)
      for (let i = 0; i < 16; i++) {
        const byte = src[at + 2 + i]
        dst[out + i] = ((byte & 15) - 8) * scale
        dst[out + i + 16] = ((byte >> 4) - 8) * scale
      }
    }
  },
  encode(src, dst) {
    for (let at = 0, from = 0; from < src.length; at += 18, from += 32) {
      const scale = f32(extreme(src, from) / -8)
      const inverse = scale ? f32(1 / scale) : 0
      putHalf(dst, at, scale)
      for (let i = 0; i < 16; i++) dst[at + 2 + i] = nibble(src[from + i], inverse, 8.5) | (nibble(src[from + i + 16], inverse, 8.5) << 4)
    }
  },
}

/** 4 bits above a minimum: half scale, half minimum, then 16 bytes as in `q4_0`. ggml's Q4_1. */
export const q4_1: Codec = {
  kind: 'codec',
  name: 'q4_1',
  block: 32,
  bytes: 20,
  decode(src, dst) {
    for (let at = 0, out = 0; out < dst.length; at += 20, out += 32) {
      const scale = half(src, at)
      const min = half(src, at + 2)
      for (let i = 0; i < 16; i++) {
        const byte = src[at + 4 + i]
        dst[out + i] = (byte & 15) * scale + min
        dst[out + i + 16] = (byte >> 4) * scale + min
      }
    }
  },
  encode(src, dst) {
    for (let at = 0, from = 0; from < src.length; at += 20, from += 32) {
      let min = Infinity
      let max = -Infinity
      for (let i = from; i < from + 32; i++) {
        if (src[i] < min) min = src[i]
        if (src[i] > max) max = src[i]
      }
      const scale = f32(f32(max - min) / 15)
      const inverse = scale ? f32(1 / scale) : 0
      putHalf(dst, at, scale)
      putHalf(dst, at + 2, min)
      for (let i = 0; i < 16; i++) {
        const low = nibble(f32(src[from + i] - min), inverse, 0.5)
        dst[at + 4 + i] = low | (nibble(f32(src[from + i + 16] - min), inverse, 0.5) << 4)
      }
    }
  },
}

/** 8 bits around zero: half scale, then 32 signed bytes. ggml's Q8_0. */
export const q8_0: Codec = {
  kind: 'codec',
  name: 'q8_0',
  block: 32,
  bytes: 34,
  decode(src, dst) {
    for (let at = 0, out = 0; out < dst.length; at += 34, out += 32) {
      const scale = half(src, at)
      for (let i = 0; i < 32; i++) dst[out + i] = ((src[at + 2 + i] << 24) >> 24) * scale
    }
  },
  encode(src, dst) {
    for (let at = 0, from = 0; from < src.length; at += 34, from += 32) {
      const scale = f32(Math.abs(extreme(src, from)) / 127)
      const inverse = scale ? f32(1 / scale) : 0
      putHalf(dst, at, scale)
      for (let i = 0; i < 32; i++) dst[at + 2 + i] = roundAway(f32(src[from + i] * inverse))
    }
  },
}

const f32 = Math.fround
const half = (bytes: Uint8Array, at: number): number => halfToFloat(bytes[at] | (bytes[at + 1] << 8))
const nibble = (x: number, inverse: number, bias: number): number => Math.min(15, Math.trunc(f32(f32(x * inverse) + bias)))
const roundAway = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5)

function putHalf(bytes: Uint8Array, at: number, x: number): void {
  const h = floatToHalf(x)
  bytes[at] = h & 255
  bytes[at + 1] = h >> 8
}

/** The value of largest magnitude in a block of 32, the first one of equals. */
function extreme(src: Float32Array, from: number): number {
  let best = 0
  for (let i = from; i < from + 32; i++) if (Math.abs(src[i]) > Math.abs(best)) best = src[i]
  return best
}
