/** Files made in memory for tests: a safetensors from its header, a GGUF from its metadata and tensors. */

export function makeSafetensors(
  header: unknown,
  data: Uint8Array | number,
  { raw, claim }: { raw?: string; claim?: bigint } = {},
): Uint8Array {
  const text = new TextEncoder().encode(raw ?? JSON.stringify(header))
  const body = typeof data === 'number' ? new Uint8Array(data) : data
  const out = new Uint8Array(8 + text.length + body.length)
  new DataView(out.buffer).setBigUint64(0, claim ?? BigInt(text.length), true)
  out.set(text, 8)
  out.set(body, 8 + text.length)
  return out
}

export interface MadeTensor {
  name: string
  /** Fastest axis first, as GGUF stores it. */
  dims: (number | bigint)[]
  type: number
  data: Uint8Array
  offset?: number
}
/** [value type number, value]; arrays are [9, element type number, values]. */
export type MadeValue = [number, unknown] | [9, number, unknown[]]

export function makeGguf(metadata: [string, MadeValue][], tensors: MadeTensor[], { version = 3, alignment = 32 } = {}): Uint8Array {
  const out = new Bytes()
  out.u32(0x46554747).u32(version).u64(tensors.length).u64(metadata.length)
  for (const [key, value] of metadata) out.string(key).value(value)
  let at = 0
  const placed = tensors.map(t => {
    const offset = t.offset ?? at
    at = Math.ceil((at + t.data.length) / alignment) * alignment
    return { ...t, offset }
  })
  for (const t of placed) {
    out.string(t.name).u32(t.dims.length)
    for (const d of t.dims) out.u64(d)
    out.u32(t.type).u64(t.offset)
  }
  out.pad(alignment)
  for (const t of placed) out.raw(t.data).pad(alignment)
  return out.done()
}

class Bytes {
  #bytes: number[] = []
  raw(b: ArrayLike<number>): this {
    for (let i = 0; i < b.length; i++) this.#bytes.push(b[i])
    return this
  }
  u32(x: number): this {
    return this.raw(new Uint8Array(Uint32Array.of(x).buffer))
  }
  u64(x: number | bigint): this {
    return this.raw(new Uint8Array(BigUint64Array.of(BigInt(x)).buffer))
  }
  string(s: string): this {
    const b = new TextEncoder().encode(s)
    return this.u64(b.length).raw(b)
  }
  value(v: MadeValue): this {
    this.u32(v[0])
    return v[0] === 9 ? this.array(v[1] as number, v[2] as unknown[]) : this.one(v[0], v[1])
  }
  array(type: number, values: unknown[]): this {
    this.u32(type).u64(values.length)
    for (const x of values) this.one(type, x)
    return this
  }
  one(type: number, x: unknown): this {
    if (type === 4) return this.u32(x as number)
    if (type === 5) return this.raw(new Uint8Array(Int32Array.of(x as number).buffer))
    if (type === 6) return this.raw(new Uint8Array(Float32Array.of(x as number).buffer))
    if (type === 7) return this.raw([Number(x)])
    if (type === 8) return this.string(x as string)
    if (type === 10) return this.u64(x as bigint)
    throw new Error(`makeGguf does not write value type ${type}`)
  }
  pad(to: number): this {
    while (this.#bytes.length % to) this.#bytes.push(0)
    return this
  }
  done(): Uint8Array {
    return Uint8Array.from(this.#bytes)
  }
}
