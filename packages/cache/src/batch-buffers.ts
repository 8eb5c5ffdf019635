import type { Device, DeviceBuffer } from '@attune/tensor'

export interface BatchShape {
  readonly batchRows: number
  /** Independent runs per batch row, such as heads. */
  readonly runs: number
  /** Items per run. */
  readonly items: number
  readonly itemBytes: number
}

/** Named state buffers of shape (batch rows, runs, items): grown by copying, forked row by row. */
export class BatchBuffers {
  readonly #buffers = new Map<string, BatchShape & { readonly buffer: DeviceBuffer }>()
  allocations = 0
  constructor(readonly device: Device) {}

  get bytes(): number {
    return [...this.#buffers.values()].reduce((n, b) => n + b.buffer.bytes, 0)
  }
  all(): Record<string, DeviceBuffer> {
    return Object.fromEntries([...this.#buffers].map(([name, b]) => [name, b.buffer]))
  }

  /** Makes a buffer have this shape; what both shapes hold stays. */
  async fit(name: string, shape: BatchShape): Promise<void> {
    const old = this.#buffers.get(name)
    if (old && old.items === shape.items && old.batchRows === shape.batchRows) return
    const { batchRows, runs, items, itemBytes } = shape
    const buffer = this.device.alloc(batchRows * runs * items * itemBytes)
    this.allocations++
    this.#buffers.set(name, { ...shape, buffer })
    if (!old) return
    const size = Math.min(old.items, items) * itemBytes
    for (let run = 0; run < Math.min(old.batchRows, batchRows) * runs; run++)
      await this.device.write(buffer, await this.device.read(old.buffer, run * old.items * itemBytes, size), run * items * itemBytes)
    this.device.free(old.buffer)
  }
  /** Copies everything of one batch row to another. */
  async copyRow(from: number, to: number): Promise<void> {
    for (const [name] of this.#buffers) await this.writeRow(name, to, await this.readRow(name, from))
  }
  readRow(name: string, row: number): Promise<Uint8Array> {
    const b = this.#buffers.get(name)!
    const size = b.runs * b.items * b.itemBytes
    return this.device.read(b.buffer, row * size, size)
  }
  async writeRow(name: string, row: number, bytes: Uint8Array): Promise<void> {
    const b = this.#buffers.get(name)!
    await this.device.write(b.buffer, bytes, row * b.runs * b.items * b.itemBytes)
  }
  /** The first `items` of each run of a batch row, and the way back. */
  async saveRow(name: string, row: number, items: number): Promise<Uint8Array> {
    const b = this.#buffers.get(name)!
    const all = await this.readRow(name, row)
    const size = items * b.itemBytes
    const out = new Uint8Array(b.runs * size)
    for (let run = 0; run < b.runs; run++) out.set(all.subarray(run * b.items * b.itemBytes).subarray(0, size), run * size)
    return out
  }
  async loadRow(name: string, row: number, items: number, bytes: Uint8Array): Promise<void> {
    const b = this.#buffers.get(name)!
    const size = items * b.itemBytes
    for (let run = 0; run < b.runs && size > 0; run++)
      await this.device.write(b.buffer, bytes.subarray(run * size, (run + 1) * size), (row * b.runs + run) * b.items * b.itemBytes)
  }
  /** Gives a buffer another name. */
  rename(from: string, to: string): void {
    const b = this.#buffers.get(from)
    if (!b || this.#buffers.has(to)) return
    this.#buffers.delete(from)
    this.#buffers.set(to, b)
  }
  drop(name: string): void {
    const b = this.#buffers.get(name)
    if (b) this.device.free(b.buffer)
    this.#buffers.delete(name)
  }
  dispose(): void {
    for (const name of [...this.#buffers.keys()]) this.drop(name)
  }
}
