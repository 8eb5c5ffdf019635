import type { Device, DeviceBuffer } from '@attune/tensor'
import { PageTables } from './page-tables.ts'

/** The pages of one layer: a buffer per part, all numbered alike. */
export class PagePool {
  readonly tables: PageTables
  readonly #buffers = new Map<string, DeviceBuffer>()
  /** Pages the buffers have. */
  allocated = 0
  allocations = 0

  constructor(
    readonly device: Device,
    heads: number,
    readonly size: number,
    /** Bytes of a row, by buffer name. */
    readonly rowBytes: Readonly<Record<string, number>>,
    /** Rows of each head there is always room for. */
    readonly least = 128,
  ) {
    this.tables = new PageTables(heads, size)
  }

  get bytes(): number {
    return [...this.#buffers.values()].reduce((n, b) => n + b.bytes, 0)
  }
  buffers = (): Record<string, DeviceBuffer> => Object.fromEntries(this.#buffers)
  read = (name: string): Promise<Uint8Array> => this.device.read(this.#buffers.get(name)!, 0, this.#buffers.get(name)!.bytes)
  pageBytes = (name: string): number => this.rowBytes[name] * this.size

  /** Gives each batch row pages for `rows[b]` rows and copies pages that are about to be written and shared. */
  async reserve(rows: ArrayLike<number>): Promise<void> {
    const copies: [number, number][] = []
    for (let b = 0; b < rows.length; b++) if (rows[b] > 0) copies.push(...this.tables.grow(b, this.#rows[b] ?? 0, rows[b]))
    this.#rows = Array.from(rows)
    await this.resize(roomy(this.tables.pages, this.#least))
    for (const [name, buffer] of this.#buffers)
      for (const [from, to] of copies)
        await this.device.write(
          buffer,
          await this.device.read(buffer, from * this.pageBytes(name), this.pageBytes(name)),
          to * this.pageBytes(name),
        )
  }
  #rows: number[] = []
  /** Pages of one sequence of `least` rows. */
  get #least(): number {
    return this.tables.heads * Math.ceil(this.least / this.size)
  }
  fork(from: number, to: number): void {
    this.tables.fork(from, to)
    this.#rows[to] = this.#rows[from]
  }
  close(row: number): void {
    this.tables.close(row)
    this.#rows[row] = 0
  }
  /** Tells how many rows a batch row has now, after a trim. */
  setRows(row: number, rows: number): void {
    this.#rows[row] = rows
  }

  /** Makes the buffers hold `pages` pages; what they hold stays. */
  async resize(pages: number): Promise<void> {
    if (pages <= this.allocated) return
    for (const name of Object.keys(this.rowBytes)) {
      const next = this.device.alloc(pages * this.pageBytes(name))
      this.allocations++
      const old = this.#buffers.get(name)
      if (old) {
        await this.device.write(next, await this.device.read(old, 0, old.bytes), 0)
        this.device.free(old)
      }
      this.#buffers.set(name, next)
    }
    this.allocated = pages
  }
  /** Replaces the buffers by smaller ones that hold the pages in use, renumbered. `patch` fills pages in the copy on the host. */
  async shrink(patch: (name: string, bytes: Uint8Array) => void): Promise<void> {
    const old = this.tables.compact()
    const pages = roomy(old.length, this.#least)
    for (const [name, buffer] of this.#buffers) {
      const size = this.pageBytes(name)
      const before = await this.device.read(buffer, 0, buffer.bytes)
      const bytes = new Uint8Array(pages * size)
      for (const [i, page] of old.entries())
        if ((page + 1) * size <= before.length) bytes.set(before.subarray(page * size, (page + 1) * size), i * size)
      patch(name, bytes)
      const next = this.device.alloc(bytes.length)
      this.allocations++
      await this.device.write(next, bytes, 0)
      this.device.free(buffer)
      this.#buffers.set(name, next)
    }
    this.allocated = pages
  }
  dispose(): void {
    for (const b of this.#buffers.values()) this.device.free(b)
    this.#buffers.clear()
    this.allocated = 0
  }
}

/** Room for at least `pages` and a few more: quarter steps between doublings of `least`, so that a growing sequence allocates seldom. */
export function roomy(pages: number, least: number): number {
  let n = least
  while (2 * n <= pages) n *= 2
  return [n, 1.25 * n, 1.5 * n, 1.75 * n, 2 * n].map(Math.ceil).find(x => x >= pages)!
}
