import { AttuneError } from '@attune/expr'
import type { Device, DeviceBuffer } from './device.ts'
import { bytesOf, type Storage } from './dtype.ts'
import type { Type } from './op.ts'
import { elements } from './shape.ts'
import { leaf, type Tensor } from './tensor.ts'

type Bytes = Uint8Array | (() => Uint8Array | Promise<Uint8Array>)

/**
 * Bytes that do not change: a weight or a table. One owner; every graph that mentions it shares the copy on each device.
 * Uploaded to a device on first use, dropped by `release`.
 */
export class Constant {
  readonly #bytes: Bytes
  readonly #on = new Map<Device, Promise<DeviceBuffer>>()
  constructor(
    readonly dtype: Storage,
    readonly shape: readonly number[],
    bytes: Bytes,
    readonly name = '',
  ) {
    this.#bytes = bytes
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
  /** The copy on `device`, uploaded on first use. */
  on(device: Device): Promise<DeviceBuffer> {
    let p = this.#on.get(device)
    if (!p) {
      p = (async () => {
        const buffer = device.alloc(this.byteLength)
        await device.write(buffer, await this.bytes())
        return buffer
      })()
      p.catch(() => this.#on.delete(device))
      this.#on.set(device, p)
    }
    return p
  }
  /** True when `device` holds a copy. */
  isOn(device: Device): boolean {
    return this.#on.has(device)
  }
  /** Gives the copy on `device` a buffer that already holds the bytes (a mapped file). */
  place(device: Device, buffer: DeviceBuffer): void {
    this.#on.set(device, Promise.resolve(buffer))
  }
  /** Frees the copy on `device`. */
  async release(device: Device): Promise<void> {
    const p = this.#on.get(device)
    this.#on.delete(device)
    if (p) device.free(await p)
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
