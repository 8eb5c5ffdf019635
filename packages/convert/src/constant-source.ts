import { type Constant, isCodec } from '@attune/tensor'
import { decode, encode, type FileDType, type TensorSource } from '@attune/weights'

/** How far values moved when they were written in a narrower type. */
export interface Rounding {
  /** ‖written − value‖ / ‖value‖ over all tensors. */
  relative: number
  /** Largest |written − value|. */
  largest: number
}

/** Adds up rounding errors as tensors are written. */
export class RoundingMeter implements Rounding {
  relative = 0
  largest = 0
  #off = 0
  #all = 0
  /** All that was added up, as data: a meter that is given it goes on from there, to the bit. */
  get state(): readonly [off: number, all: number, largest: number] {
    return [this.#off, this.#all, this.largest]
  }
  set state([off, all, largest]: readonly [number, number, number]) {
    this.#off = off
    this.#all = all
    this.largest = largest
    this.relative = all > 0 ? Math.sqrt(off / all) : 0
  }
  add(values: Float32Array, written: Float32Array): void {
    for (let i = 0; i < values.length; i++) {
      const off = Math.abs(written[i] - values[i])
      if (off > this.largest) this.largest = off
      this.#off += off * off
      this.#all += values[i] * values[i]
    }
    this.relative = this.#all > 0 ? Math.sqrt(this.#off / this.#all) : 0
  }
}

/** Values decoded and written at a time. */
const PIECE = 1 << 20

/** A weight to be written in another element type, a piece at a time. Its bytes are made when its turn comes. */
export function constantSource(name: string, constant: Constant, dtype: 'f32' | 'f16' | 'bf16', meter: RoundingMeter): TensorSource {
  const { shape } = constant
  const from = constant.dtype
  return {
    name,
    dtype: dtype as FileDType,
    shape,
    async *pieces() {
      const bytes = await constant.bytes()
      if (from === dtype) return yield bytes
      const size = shape.reduce((n, d) => n * d, 1)
      const perByte = bytes.length / size
      const step = isCodec(from) ? Math.floor(PIECE / from.block) * from.block : PIECE
      for (let at = 0; at < size; at += step) {
        const count = Math.min(step, size - at)
        const values = new Float32Array(count)
        decode(from, bytes.subarray(at * perByte, (at + count) * perByte), values)
        const out = encode(dtype, values)
        if (dtype !== 'f32') {
          const written = new Float32Array(count)
          decode(dtype, out, written)
          meter.add(values, written)
        }
        yield out
      }
    },
  }
}
