import type { Field } from './architecture.ts'

const ALIGNMENT = 32

export interface TensorInfo {
  readonly name: string
  /** Row-major, as everywhere but in the file. */
  readonly shape: readonly number[]
  /** ggml's number of the type. */
  readonly type: number
  readonly bytes: number
}

/** A version 3 header with padding up to the tensors' data, which follows in this order, each padded to the alignment. */
export function ggufHeader(fields: readonly Field[], tensors: readonly TensorInfo[]): Uint8Array {
  const out = new Writer()
  out.u32(0x46554747).u32(3).u64(tensors.length).u64(fields.length)
  for (const field of fields) out.field(field)
  let offset = 0
  for (const { name, shape, type, bytes } of tensors) {
    out.string(name).u32(shape.length)
    for (const size of [...shape].reverse()) out.u64(size)
    out.u32(type).u64(offset)
    offset += padded(bytes)
  }
  return out.done()
}

export const padded = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT

const ELEMENT = { strings: 8, i32s: 5, f32s: 6 } as const

class Writer {
  #bytes = new Uint8Array(1 << 16)
  #view = new DataView(this.#bytes.buffer)
  #at = 0
  readonly #encoder = new TextEncoder()

  u32(x: number): this {
    const at = this.#room(4)
    this.#view.setUint32(at, x, true)
    return this
  }
  u64(x: number): this {
    const at = this.#room(8)
    this.#view.setBigUint64(at, BigInt(x), true)
    return this
  }
  string(text: string): this {
    const bytes = this.#encoder.encode(text)
    this.u64(bytes.length)
    const at = this.#room(bytes.length)
    this.#bytes.set(bytes, at)
    return this
  }
  field([key, type, value]: Field): this {
    this.string(key)
    switch (type) {
      case 'u32':
        return this.u32(4).u32(value)
      case 'f32':
        return this.u32(6).#f32(value)
      case 'bool': {
        this.u32(7)
        const at = this.#room(1)
        this.#bytes[at] = value ? 1 : 0
        return this
      }
      case 'string':
        return this.u32(8).string(value)
      default:
        this.u32(9).u32(ELEMENT[type]).u64(value.length)
        for (let i = 0; i < value.length; i++) {
          const x = value[i]
          if (typeof x === 'string') this.string(x)
          else if (type === 'f32s') this.#f32(x)
          else this.u32(x >>> 0)
        }
        return this
    }
  }
  done(): Uint8Array {
    return this.#bytes.slice(0, padded(this.#at))
  }

  #f32(x: number): this {
    const at = this.#room(4)
    this.#view.setFloat32(at, x, true)
    return this
  }
  /** Makes room for `n` bytes and says where. */
  #room(n: number): number {
    const at = this.#at
    this.#at += n
    if (padded(this.#at) > this.#bytes.length) {
      const larger = new Uint8Array(2 * padded(this.#at))
      larger.set(this.#bytes)
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    return at
  }
}
