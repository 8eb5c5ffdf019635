import { type Past, partsOf, type RowsKind, type StateSpec, type StepTokens } from '@attune/attention'
import { bytesOf, input, state, type Tensor } from '@attune/tensor'
import { BatchBuffers } from './batch-buffers.ts'
import type { KeeperOptions } from './keeper.ts'
import { bucket } from './manager.ts'
import { partName } from './slot-keeper.ts'
import { appendRows, once, type SlotRows, slotPast } from './slot-past.ts'

/** Rows of the memory axis: written once per encoder input, with a length of their own per sequence. */
export class MemoryRows {
  readonly #buffers: BatchBuffers
  readonly #lengths: number[] = []
  /** Some layer has a part on the memory axis. */
  readonly present: boolean
  #capacity = 0
  #batchRows = 1
  constructor(readonly options: KeeperOptions) {
    this.#buffers = new BatchBuffers(options.device)
    this.present = options.layers.some(({ spec }) => memoryParts(spec).length > 0)
  }
  get key(): string {
    return this.present ? `memory${this.#capacity}` : ''
  }
  get bytes(): number {
    return this.#buffers.bytes
  }
  get allocations(): number {
    return this.#buffers.allocations
  }
  /** Encoder rows a sequence has. */
  length = (row: number): number => this.#lengths[row] ?? 0

  async reserve(batchRows: number, rows = 1): Promise<void> {
    if (!this.present) return
    this.#batchRows = batchRows
    this.#capacity = Math.max(this.#capacity, bucket(rows))
    for (const [i, { spec }] of this.options.layers.entries())
      for (const [part, { heads, width }] of memoryParts(spec))
        await this.#buffers.fit(partName(part, i), {
          batchRows,
          runs: heads,
          items: this.#capacity,
          itemBytes: bytesOf(this.options.kv, width),
        })
  }
  /** Says how many rows a sequence's memory has from now on. */
  set(row: number, rows: number): void {
    this.#lengths[row] = rows
  }
  inputs(): Record<string, Int32Array> {
    return this.present ? { 'lengths:memory': Int32Array.from({ length: this.#batchRows }, (_, b) => this.length(b)) } : {}
  }
  buffers = () => this.#buffers.all()

  /** What a layer's queries see of the memory. */
  past(layer: number, spec: StateSpec, tokens: StepTokens): Past {
    return slotPast(this.#parts(layer, spec, tokens), tokens, this.#slots(tokens))
  }
  /** Stores rows (M, heads, width) of a layer's parts; `tokens` are the M rows of the memory. */
  store(layer: number, spec: StateSpec, values: Readonly<Record<string, Tensor>>, tokens: StepTokens, effects: Tensor[]): void {
    const parts = this.#parts(layer, spec, tokens)
    for (const [name, value] of Object.entries(values)) appendRows(parts[name], value, tokens, this.#slots(tokens), effects)
  }
  async fork(from: number, to: number): Promise<void> {
    this.#lengths[to] = this.length(from)
    await this.#buffers.copyRow(from, to)
  }
  savedBytes(length: number): Record<string, number> {
    return Object.fromEntries(this.#all().map(([name, { heads, width }]) => [name, heads * length * bytesOf(this.options.kv, width)]))
  }
  async save(row: number): Promise<Record<string, Uint8Array>> {
    const out: Record<string, Uint8Array> = {}
    for (const [name] of this.#all()) out[name] = await this.#buffers.saveRow(name, row, this.length(row))
    return out
  }
  async load(row: number, length: number, saved: Readonly<Record<string, Uint8Array>>): Promise<void> {
    await this.reserve(this.#batchRows, length)
    this.set(row, length)
    for (const [name] of this.#all()) await this.#buffers.loadRow(name, row, length, saved[name])
  }
  close(row: number): void {
    this.#lengths[row] = 0
  }
  dispose = (): void => this.#buffers.dispose()

  #all = (): [string, RowsKind][] =>
    this.options.layers.flatMap(({ spec }, i) => memoryParts(spec).map(([part, kind]): [string, RowsKind] => [partName(part, i), kind]))
  // A graph has one leaf for each input and state.
  #parts(layer: number, spec: StateSpec, { offsets, batchRows }: StepTokens): Record<string, Tensor> {
    return Object.fromEntries(
      memoryParts(spec).map(([part, { heads, width }]) => {
        const name = partName(part, layer)
        return [part, once(offsets, name, () => state(name, this.options.kv, [batchRows, heads, this.#capacity, width]))]
      }),
    )
  }
  #slots({ row, offsets, batchRows }: StepTokens): SlotRows {
    const lengths = once(offsets, 'lengths:memory', () => input('lengths:memory', 'i32', [batchRows]))
    return { capacity: this.#capacity, slots: row, lengths, find: row => row }
  }
}

const memoryParts = (spec: StateSpec): [string, RowsKind][] => partsOf(spec, 'rows').filter(([, kind]) => kind.axis === 'memory')
