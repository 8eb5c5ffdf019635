import { AttuneError } from '@attune/expr'
import type { Op } from '../op.ts'
import { type Dim, product, showShape } from '../shape.ts'
import { call1, type Tensor } from '../tensor.ts'

/**
 * Counter-based uniform numbers in [0, 1) with 24 random bits: element i is Philox4x32-10 of counter (i >> 2, 0, 0, 0) word i & 3
 * under `key` (2) i32. Same key, same numbers, on every device. Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
 */
export const random: Op<{ shape: readonly Dim[] }> = {
  name: 'random',
  infer([key], { shape }) {
    if (key.dtype !== 'i32' || key.shape.length !== 1 || key.shape[0] !== 2)
      throw new AttuneError('ERR_SHAPE', `random wants a key (2) i32, got ${showShape(key.shape)} ${String(key.dtype)}`, {})
    return [{ dtype: 'f32', shape }]
  },
  loops([key], _attrs, [out]) {
    const data = new Float32Array(product(out.shape))
    const k0 = key.data[0] >>> 0
    const k1 = key.data[1] >>> 0
    for (let i = 0; i < data.length; i += 4) {
      const words = philox(i / 4, 0, 0, 0, k0, k1)
      for (let j = 0; j < 4 && i + j < data.length; j++) data[i + j] = (words[j] >>> 8) / 16777216
    }
    return [data]
  },
  vjp: () => [undefined],
}

/** Uniform [0, 1) numbers of `shape` from an i32 key (2). */
export const randomOf = (key: Tensor, shape: readonly Dim[]): Tensor => call1(random, [key], { shape })

/** Philox4x32 with ten rounds: four 32-bit words from a counter and a key. */
export function philox(c0: number, c1: number, c2: number, c3: number, k0: number, k1: number): [number, number, number, number] {
  for (let r = 0; r < 10; r++) {
    const [h0, l0] = mulhilo(0xd2511f53, c0)
    const [h1, l1] = mulhilo(0xcd9e8d57, c2)
    ;[c0, c1, c2, c3] = [(h1 ^ c1 ^ k0) >>> 0, l1, (h0 ^ c3 ^ k1) >>> 0, l0]
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
  }
  return [c0, c1, c2, c3]
}

/** High and low 32 bits of a 64-bit product, by 16-bit halves: every partial sum stays below 2^53. */
function mulhilo(a: number, b: number): [number, number] {
  const al = a & 0xffff
  const ah = a >>> 16
  const low = al * b
  const high = ah * b + Math.floor(low / 65536)
  return [Math.floor(high / 65536), ((high % 65536) * 65536 + (low % 65536)) >>> 0]
}
