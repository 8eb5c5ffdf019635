import { formatError } from '../error.ts'
import type { ByteSource } from '../source.ts'

const [PAGE, LARGEST_PAGE] = [1 << 18, 1 << 22] // doubled with each one: a header has some kB, with a large vocabulary 10 MB
const MOST_HELD = 52 << 20 // of memory for what a header says; a vocabulary of 256k tokens with its merges takes about 40 MB

/** Reads little-endian fields one after another, a page at a time, never past the end of the file. `field` names what is read, for errors. */
export class Cursor {
  readonly #source: ByteSource
  readonly #signal?: AbortSignal
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #page: Uint8Array = new Uint8Array(0)
  #view = new DataView(this.#page.buffer)
  #start = 0
  #at = 0
  #held = 0
  #next = PAGE
  field = 'magic'

  constructor(source: ByteSource, signal?: AbortSignal) {
    this.#source = source
    this.#signal = signal
  }

  get offset(): number {
    return this.#start + this.#at
  }

  get left(): number {
    return this.#source.size - this.offset
  }

  fail(why: string, data: Record<string, unknown> = {}): Error {
    return formatError(this.#source.name, this.field, this.offset, why, data)
  }

  /** Counts memory that stays taken, before it is: a header of many small things takes more than its bytes. */
  hold(bytes: number): void {
    this.#held += bytes
    if (this.#held > MOST_HELD) throw this.fail(`the header takes more than ${MOST_HELD} bytes of memory`)
  }

  /** Makes `n` bytes readable by the synchronous readers below. */
  async need(n: number): Promise<void> {
    if (this.#at + n <= this.#page.length) return
    if (n > this.left) throw this.fail(`${n} bytes are needed, ${this.left} are left: truncated`)
    this.#start = this.offset
    this.#at = 0
    this.#page = await this.#source.read(this.#start, Math.min(Math.max(n, this.#next), this.left), this.#signal)
    this.#next = Math.min(2 * this.#next, LARGEST_PAGE)
    this.#view = new DataView(this.#page.buffer, this.#page.byteOffset, this.#page.byteLength)
  }

  /** A copy of the next `n` bytes. */
  async bytes(n: number): Promise<Uint8Array> {
    this.hold(n)
    const inPage = Math.min(n, this.#page.length - this.#at)
    if (inPage < n && n > this.left) await this.need(n)
    const out = new Uint8Array(n)
    out.set(this.#page.subarray(this.#at, this.#at + inPage))
    this.#at += inPage
    if (inPage === n) return out
    const start = this.offset
    await this.#source.readInto(start, out.subarray(inPage), this.#signal)
    this.#start = start + n - inPage
    this.#at = 0
    this.#page = new Uint8Array(0)
    return out
  }

  async number(read: 'Uint8' | 'Int8' | 'Uint16' | 'Int16' | 'Uint32' | 'Int32' | 'Float32' | 'Float64', size: number): Promise<number> {
    await this.need(size)
    this.#at += size
    return this.#view[`get${read}`](this.#at - size, true)
  }

  u32(): Promise<number> {
    return this.number('Uint32', 4)
  }

  async u64(): Promise<bigint> {
    await this.need(8)
    this.#at += 8
    return this.#view.getBigUint64(this.#at - 8, true)
  }

  async i64(): Promise<bigint> {
    await this.need(8)
    this.#at += 8
    return this.#view.getBigInt64(this.#at - 8, true)
  }

  /** A count of things that take at least `each` bytes: more than could be left in the file is refused before anything is allocated. */
  async count(each: number): Promise<number> {
    const n = await this.u64()
    if (n * BigInt(each) > BigInt(this.left)) throw this.fail(`${n} entries claimed, ${this.left} bytes are left`)
    return Number(n)
  }

  async string(limit = 16 << 20): Promise<string> {
    const length = await this.count(1)
    if (length > limit) throw this.fail(`a string of ${length} bytes, the limit is ${limit}`)
    this.hold(24 + 2 * length)
    await this.need(length)
    return this.#text(length)
  }

  /** `n` strings; vocabularies are long, so those that lie in the page are not waited for. */
  async strings(n: number): Promise<string[]> {
    this.hold(8 * n)
    const out: string[] = new Array(n)
    for (let i = 0; i < n; i++) {
      const length = this.#page.length - this.#at < 8 ? -1 : this.#view.getUint32(this.#at, true)
      const long = length < 0 || this.#view.getUint32(this.#at + 4, true) > 0 || this.#page.length - this.#at - 8 < length
      if (long) out[i] = await this.string()
      else {
        this.#at += 8
        this.hold(24 + 2 * length)
        out[i] = this.#text(length)
      }
    }
    return out
  }

  #text(length: number): string {
    const bytes = this.#page.subarray(this.#at, this.#at + length)
    try {
      const text = this.#decoder.decode(bytes)
      this.#at += length
      return text
    } catch {
      throw this.fail('not UTF-8')
    }
  }
}
