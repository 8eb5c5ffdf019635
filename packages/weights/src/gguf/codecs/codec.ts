import { type Codec, type DType, halfToFloat } from '@attune/tensor'

/** A packed format that only files have: no kernel reads it, so loaded weights take another one. */
export interface FileCodec extends Codec {
  /** What loaded weights become. */
  readonly loadsAs: DType | Codec
  /** Blocks of the file → bytes of `loadsAs`, where that loses nothing that decoding would keep. Otherwise they are decoded and rounded. */
  repack?(src: Uint8Array, dst: Uint8Array): void
}

export const isFileCodec = (x: unknown): x is FileCodec => typeof x === 'object' && x !== null && 'loadsAs' in x

/** A codec from how one block is read: `block(src, at, dst, out)` decodes the block at byte `at` to the values from `out` on. */
export function fileCodec(
  name: string,
  block: number,
  bytes: number,
  loadsAs: FileCodec['loadsAs'],
  decodeBlock: (src: Uint8Array, at: number, dst: Float32Array, out: number) => void,
  repackBlock?: (src: Uint8Array, at: number, dst: Uint8Array, out: number) => void,
): FileCodec {
  const size = typeof loadsAs === 'object' ? (block / loadsAs.block) * loadsAs.bytes : 0
  return {
    kind: 'codec',
    name,
    block,
    bytes,
    loadsAs,
    decode(src, dst) {
      for (let at = 0, out = 0; out < dst.length; at += bytes, out += block) decodeBlock(src, at, dst, out)
    },
    ...(repackBlock && {
      repack(src: Uint8Array, dst: Uint8Array) {
        for (let at = 0, out = 0; out < dst.length; at += bytes, out += size) repackBlock(src, at, dst, out)
      },
    }),
  }
}

let halves: Float32Array | undefined
/** The f16 at byte `at`. */
export function half(src: Uint8Array, at: number): number {
  halves ??= Float32Array.from({ length: 65536 }, (_, word) => halfToFloat(word))
  return halves[src[at] | (src[at + 1] << 8)]
}
export const signed = (byte: number): number => (byte << 24) >> 24

/** A block of whole numbers times one f16 is a block of q8_0: the numbers are put there as they are. */
export function asQ8(whole: (src: Uint8Array, at: number, i: number) => number, values: number, scaleAt = 0) {
  return (src: Uint8Array, at: number, dst: Uint8Array, out: number): void => {
    for (let first = 0; first < values; first += 32, out += 34) {
      dst[out] = src[at + scaleAt]
      dst[out + 1] = src[at + scaleAt + 1]
      for (let i = 0; i < 32; i++) dst[out + 2 + i] = whole(src, at, first + i)
    }
  }
}
