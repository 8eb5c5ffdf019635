import { type Assignment, bytesIn, decode, loadValues, type TensorEntry, type Value, value } from '@attune/weights'

/** What an assignment makes of its tensors, while parameters are taken from it. */
interface Reading {
  readonly of: Assignment
  readonly memory: ArrayBuffer[]
  values?: Promise<Map<string, Value>>
  users: number
}

/**
 * Where tensors that layouts turn, cut or join are read and made on their way to a device. The parameters of one assignment are made from
 * one reading, if they are asked for one after the other; its memory is used again by the next, as what is thrown away is collected late.
 */
export class Workspace {
  #idle: WeakRef<ArrayBuffer>[] = []
  #last: WeakRef<Reading> | undefined

  /** The bytes of parameter `name`, decoded where `floats`; gone when the next piece is asked for. */
  async *pieces(a: Assignment, entries: readonly TensorEntry[], name: string, floats: boolean, signal?: AbortSignal) {
    const reading = this.#of(a)
    reading.users++
    try {
      reading.values ??= this.#read(reading, entries, signal)
      const made = (await reading.values).get(name)!
      const take = (bytes: number) => this.#take(reading, bytes)
      const bytes = bytesIn(take, made)
      yield floats ? decoded(made, bytes, take) : bytes
    } catch (error) {
      this.#last = undefined
      throw error
    } finally {
      reading.users--
      if (this.#last?.deref() !== reading) this.#end(reading)
    }
  }

  #of(a: Assignment): Reading {
    const last = this.#last?.deref()
    if (last?.of === a) return last
    const reading: Reading = { of: a, memory: [], users: 0 }
    this.#last = new WeakRef(reading)
    if (last) this.#end(last)
    return reading
  }
  async #read(reading: Reading, entries: readonly TensorEntry[], signal?: AbortSignal): Promise<Map<string, Value>> {
    const values: Value[] = []
    for (const entry of entries) {
      const bytes = this.#take(reading, entry.bytes)
      await entry.readInto(bytes, signal)
      values.push(value(entry.dtype, entry.shape, () => bytes))
    }
    return loadValues(reading.of, values)
  }
  #end({ users, memory }: Reading): void {
    if (users === 0) this.#idle.push(...memory.splice(0).map(m => new WeakRef(m)))
  }
  #take(reading: Reading, bytes: number): Uint8Array<ArrayBuffer> {
    const idle = this.#idle.map(w => w.deref()).filter(m => m !== undefined)
    const at = idle.findIndex(m => m.byteLength >= bytes && m.byteLength <= 2 * bytes)
    const memory = at >= 0 ? idle.splice(at, 1)[0] : new ArrayBuffer(bytes)
    this.#idle = idle.map(m => new WeakRef(m))
    reading.memory.push(memory)
    return new Uint8Array(memory, 0, bytes)
  }
}

function decoded({ dtype, shape }: Value, bytes: Uint8Array, take: (bytes: number) => Uint8Array<ArrayBuffer>): Uint8Array {
  const out = take(4 * shape.reduce((n, d) => n * d, 1))
  decode(dtype, bytes, new Float32Array(out.buffer, out.byteOffset, out.length / 4))
  return out
}
