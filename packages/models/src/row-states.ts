import type { RowsLayout } from '@attune/cache'
import { bytesOf, type Device, type DeviceBuffer, type Storage } from '@attune/tensor'
import type { Model } from './model.ts'
import { rowsName, stateName, stateSpecs } from './step-graph.ts'

interface Buffer {
  readonly buffer: DeviceBuffer
  readonly batchRows: number
  /** Independent runs of slots per batch row: heads, or 1 for a row table. */
  readonly heads: number
  readonly capacity: number
  /** Bytes of one slot. */
  readonly slotBytes: number
}

/** The state buffers of a runner: keys and values per layer, row tables per layout, and the drawn tokens. Grows by copying. */
export class RowStates {
  readonly #buffers = new Map<string, Buffer>()
  batchRows = 0
  allocations = 0
  constructor(
    readonly device: Device,
    readonly model: Model,
    readonly kv: Storage,
  ) {}

  /** Bytes of keys and values (row tables and drawn tokens left out). */
  get bytes(): number {
    return [...this.#buffers].reduce((n, [name, b]) => n + (name.includes(':') || name === 'drawn' ? 0 : b.buffer.bytes), 0)
  }

  buffers(): Record<string, DeviceBuffer> {
    return Object.fromEntries([...this.#buffers].map(([name, b]) => [name, b.buffer]))
  }

  /** Makes room for `batchRows` rows under new layouts; what is stored stays. */
  async resize(old: readonly RowsLayout[], next: readonly RowsLayout[], batchRows: number): Promise<void> {
    this.batchRows = batchRows
    for (const { layer, part, heads, width } of stateSpecs(this.model)) {
      await this.#fit(stateName(layer, part), { heads, capacity: next[layer].capacity, slotBytes: bytesOf(this.kv, width) })
    }
    for (const layout of new Map(next.map(l => [l.key, l])).values()) {
      if (layout.remembersRows) await this.#fit(rowsName(layout), { heads: 1, capacity: layout.capacity, slotBytes: 4 })
    }
    await this.#fit('drawn', { heads: 1, capacity: 1, slotBytes: 4 })
    const kept = new Set(next.filter(l => l.remembersRows).map(rowsName))
    for (const layout of old) if (layout.remembersRows && !kept.has(rowsName(layout))) this.#drop(rowsName(layout))
  }

  /** Copies everything of one batch row to another. */
  async copyRow(from: number, to: number): Promise<void> {
    for (const b of this.#buffers.values()) {
      const size = b.heads * b.capacity * b.slotBytes
      await this.device.write(b.buffer, await this.device.read(b.buffer, from * size, size), to * size)
    }
  }

  dispose(): void {
    for (const name of [...this.#buffers.keys()]) this.#drop(name)
  }

  async #fit(name: string, { heads, capacity, slotBytes }: { heads: number; capacity: number; slotBytes: number }): Promise<void> {
    const old = this.#buffers.get(name)
    if (old && old.capacity === capacity && old.batchRows === this.batchRows) return
    const buffer = this.device.alloc(this.batchRows * heads * capacity * slotBytes)
    this.allocations++
    this.#buffers.set(name, { buffer, batchRows: this.batchRows, heads, capacity, slotBytes })
    if (!old) return
    const size = Math.min(old.capacity, capacity) * slotBytes
    for (let run = 0; run < Math.min(old.batchRows, this.batchRows) * heads; run++) {
      await this.device.write(buffer, await this.device.read(old.buffer, run * old.capacity * slotBytes, size), run * capacity * slotBytes)
    }
    this.device.free(old.buffer)
  }
  #drop(name: string): void {
    const b = this.#buffers.get(name)
    if (b) this.device.free(b.buffer)
    this.#buffers.delete(name)
  }
}
