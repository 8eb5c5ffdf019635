import { AttuneError } from '@attune/expr'
import type { Device, DeviceBuffer, FilePlace } from './device.ts'
import { bytesOf, type Storage } from './dtype.ts'
import type { Type } from './op.ts'
import { elements } from './shape.ts'
import { leaf, type Tensor } from './tensor.ts'

type Bytes = Uint8Array | (() => Uint8Array | Promise<Uint8Array>)
/** All bytes in order, a few at a time; each piece is used before the next is asked for. */
type Pieces = (signal?: AbortSignal) => AsyncIterable<Uint8Array>

interface Copy {
  readonly buffer: Promise<DeviceBuffer>
  borrowers: number
  /** Stays when the last borrower is gone. */
  kept: boolean
}

/** A copy on a device that someone needs for a while. */
export interface Borrowed {
  readonly buffer: DeviceBuffer
  giveBack(): void
}

/**
 * Bytes that do not change: a weight or a table. One owner; every graph that mentions it shares the copy on each device.
 * `on` uploads it until `release`; `borrow` until the last borrower gives it back. With `pieces`, uploading holds one piece at a time.
 */
export class Constant {
  readonly #bytes: Bytes
  readonly #pieces: Pieces | undefined
  readonly #on = new Map<Device, Copy>()
  constructor(
    readonly dtype: Storage,
    readonly shape: readonly number[],
    bytes: Bytes,
    readonly name = '',
    pieces?: Pieces,
    /** A local file that holds the bytes as they are: a device may map it. */
    readonly place?: FilePlace,
  ) {
    this.#bytes = bytes
    this.#pieces = pieces
    if (bytes instanceof Uint8Array && bytes.byteLength !== this.byteLength)
      throw new AttuneError(
        'ERR_SHAPE',
        `constant '${name}' of shape (${shape.join(', ')}) needs ${this.byteLength} bytes, got ${bytes.byteLength}`,
        { name, shape, bytes: bytes.byteLength },
      )
  }
  get byteLength(): number {
    return bytesOf(this.dtype, elements(this.shape))
  }
  async bytes(): Promise<Uint8Array> {
    return typeof this.#bytes === 'function' ? this.#bytes() : this.#bytes
  }
  /** The copy on `device`, uploaded on first use; it stays until `release`. */
  on(device: Device, signal?: AbortSignal): Promise<DeviceBuffer> {
    const copy = this.#copy(device, signal)
    copy.kept = true
    return copy.buffer
  }
  /** As `on`, but a copy that only borrowers use is freed when the last one gives it back. */
  async borrow(device: Device): Promise<Borrowed> {
    const copy = this.#copy(device)
    copy.borrowers++
    const buffer = await copy.buffer
    return {
      buffer,
      giveBack: () => {
        if (--copy.borrowers > 0 || copy.kept || this.#on.get(device) !== copy) return
        this.#on.delete(device)
        device.free(buffer)
      },
    }
  }
  /** True when `device` would read the bytes where they lie in their file. */
  isMappedOn(device: Device): boolean {
    return device.maps !== undefined && this.place !== undefined
  }
  /** True when `device` holds a copy. */
  isOn(device: Device): boolean {
    return this.#on.has(device)
  }
  /** Frees the copy on `device`. */
  async release(device: Device): Promise<void> {
    const copy = this.#on.get(device)
    this.#on.delete(device)
    if (copy) device.free(await copy.buffer)
  }

  #copy(device: Device, signal?: AbortSignal): Copy {
    const there = this.#on.get(device)
    if (there) return there
    const copy: Copy = { buffer: this.#upload(device, signal), borrowers: 0, kept: false }
    this.#on.set(device, copy)
    copy.buffer.catch(() => this.#on.get(device) === copy && this.#on.delete(device))
    return copy
  }
  async #upload(device: Device, signal?: AbortSignal): Promise<DeviceBuffer> {
    if (device.maps && this.place) return device.maps(this.place)
    const buffer = device.alloc(this.byteLength)
    try {
      if (this.#pieces) await this.#write(device, buffer, this.#pieces(signal))
      else await device.write(buffer, await this.bytes())
      return buffer
    } catch (error) {
      device.free(buffer)
      throw error
    }
  }
  async #write(device: Device, buffer: DeviceBuffer, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    let at = 0
    for await (const piece of pieces) {
      await device.write(buffer, piece, at)
      at += piece.byteLength
    }
    if (at !== this.byteLength)
      throw new AttuneError('ERR_SHAPE', `constant '${this.name}' needs ${this.byteLength} bytes, ${at} came`, {
        name: this.name,
        bytes: at,
      })
  }
}

export const constantTensor = (c: Constant): Tensor => leaf(c as Type, { kind: 'constant', constant: c })

/** A constant tensor from numbers (row-major). Integer types truncate; f32 by default. */
export function tensor(
  data: ArrayLike<number> | number,
  shape: readonly number[] = typeof data === 'number' ? [] : [data.length],
  dtype: 'f32' | 'i32' | 'u8' | 'bool' = 'f32',
  name = '',
): Tensor {
  const list = typeof data === 'number' ? [data] : data
  const typed = dtype === 'f32' ? Float32Array.from(list) : dtype === 'i32' ? Int32Array.from(list) : Uint8Array.from(list)
  return constantTensor(new Constant(dtype, shape, new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength), name))
}
