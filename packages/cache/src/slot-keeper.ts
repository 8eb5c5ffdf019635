import type { StepTokens } from '@attune/attention'
import { AttuneError, bytesOf, input, scatterRows, state, type Tensor } from '@attune/tensor'
import { BatchBuffers } from './batch-buffers.ts'
import { type Keeper, type KeeperOptions, ownRows, type RowsView, type StepPlan } from './keeper.ts'
import { appendNumbers, appendRows, batchIndex, type SlotRows, slotPast } from './slot-past.ts'
import type { RowsLayout, SlotManager } from './slots.ts'

/** Keeps rows in slots that are the same for every head: one run of slots per (batch row, head). */
export class SlotKeeper implements Keeper {
  readonly #rows: BatchBuffers
  readonly #tables: BatchBuffers
  #layouts: readonly RowsLayout[]
  #most = 1

  constructor(
    readonly layout: SlotManager['layout'],
    readonly options: KeeperOptions,
  ) {
    this.#rows = new BatchBuffers(options.device)
    this.#tables = new BatchBuffers(options.device)
    this.#layouts = this.#layout(1)
  }

  get key(): string {
    return [...new Set(this.#layouts.map(l => l.key))].join('|')
  }
  get bytes(): number {
    return this.#rows.bytes
  }
  get allocations(): number {
    return this.#rows.allocations + this.#tables.allocations
  }

  async reserve(batchRows: number, rows: ArrayLike<number>): Promise<void> {
    this.#most = Math.max(this.#most, ...Array.from(rows))
    const old = this.#layouts
    this.#layouts = this.#layout(this.#most)
    for (const [i, { spec }] of this.options.layers.entries()) {
      const { capacity } = this.#layouts[i]
      for (const [part, { heads, width }] of ownRows(spec))
        await this.#rows.fit(partName(part, i), { batchRows, runs: heads, items: capacity, itemBytes: bytesOf(this.options.kv, width) })
    }
    const names = this.#tableNames(this.#layouts)
    for (const [i, { key }] of old.entries())
      if (key !== this.#layouts[i].key) for (const kind of TABLES) this.#tables.rename(`${kind}:${key}`, `${kind}:${this.#layouts[i].key}`)
    for (const [name, capacity] of names) await this.#tables.fit(name, { batchRows, runs: 1, items: capacity, itemBytes: 4 })
    for (const name of this.#tableNames(old).keys()) if (!names.has(name)) this.#tables.drop(name)
  }

  inputs({ batchRows, items, rows }: StepPlan): Record<string, Int32Array> {
    const count = items.reduce((n, i) => n + i.count, 0)
    const row = new Int32Array(count)
    let at = 0
    for (const { before, count } of items) for (let i = 0; i < count; i++) row[at++] = before + i
    const out: Record<string, Int32Array> = {}
    for (const layout of distinct(this.#layouts)) {
      out[`slots:${layout.key}`] = row.map(r => layout.slot(r))
      out[`lengths:${layout.key}`] = rows.slice(0, batchRows).map(n => layout.length(n))
    }
    return out
  }
  lengths = (): Record<string, number> => ({})
  buffers = () => ({ ...this.#rows.all(), ...this.#tables.all() })

  graph(tokens: StepTokens, effects: Tensor[]): (layer: number) => RowsView {
    const shared = new Map(distinct(this.#layouts).map(l => [l.key, this.#operands(l, tokens, effects)]))
    return i => {
      const { spec } = this.options.layers[i]
      const layout = this.#layouts[i]
      const own = shared.get(layout.key)!
      const parts = Object.fromEntries(
        ownRows(spec).map(([part, { heads, width }]) => [
          part,
          state(partName(part, i), this.options.kv, [tokens.batchRows, heads, layout.capacity, width]),
        ]),
      )
      return {
        append(values) {
          for (const [part, value] of Object.entries(values)) parts[part] = appendRows(parts[part], value, tokens, own, effects)
          return slotPast({ ...parts }, tokens, own)
        },
        rewrite(part, value) {
          const { shape } = parts[part]
          const flat = [shape[0], (shape[1] as number) * (shape[2] as number) * (shape[3] as number)]
          const next = scatterRows(parts[part].reshape(flat), batchIndex(tokens), value.reshape(flat))
          effects.push(next)
          parts[part] = next.reshape(shape)
        },
      }
    }
  }

  trim(_row: number, from: number, to: number): void {
    const lost = this.#layouts.find((l, i) => l.remembersRows && from > l.capacity && ownRows(this.options.layers[i].spec).length > 0)
    if (lost && to > 0 && to < from)
      throw new AttuneError('ERR_UNSUPPORTED', `a ring of ${lost.capacity} slots has dropped rows that a trim to ${to} would need`, {
        rows: to,
      })
  }
  async fork(from: number, to: number): Promise<void> {
    await this.#rows.copyRow(from, to)
    await this.#tables.copyRow(from, to)
  }
  close(): void {}
  savedBytes(rows: number): Record<string, number> {
    return Object.fromEntries(this.#saved(rows).map(({ name, bytes }) => [name, bytes]))
  }
  async save(row: number, rows: number): Promise<Record<string, Uint8Array>> {
    const out: Record<string, Uint8Array> = {}
    for (const { name, from, stored, items } of this.#saved(rows)) out[name] = await from.saveRow(stored, row, items)
    return out
  }
  async load(row: number, rows: number, saved: Readonly<Record<string, Uint8Array>>): Promise<void> {
    for (const { name, from, stored, items } of this.#saved(rows)) await from.loadRow(stored, row, items, saved[name])
  }
  dispose(): void {
    this.#rows.dispose()
    this.#tables.dispose()
  }

  /** What a sequence of `rows` rows is made of: names follow its own layout, which another runner has too, whatever else it holds. */
  #saved(rows: number): { name: string; from: BatchBuffers; stored: string; items: number; bytes: number }[] {
    const own = this.#layout(Math.max(1, rows))
    const parts = this.options.layers.flatMap(({ spec }, i) => {
      const items = own[i].length(rows)
      return ownRows(spec).map(([part, { heads, width }]) => {
        const name = partName(part, i)
        return { name, from: this.#rows, stored: name, items, bytes: heads * items * bytesOf(this.options.kv, width) }
      })
    })
    const tables = [...this.#tableNames(own).keys()].map(name => {
      const i = own.findIndex(l => name.endsWith(`:${l.key}`))
      const items = own[i].length(rows)
      return { name, from: this.#tables, stored: name.replace(own[i].key, this.#layouts[i].key), items, bytes: 4 * items }
    })
    return [...parts, ...tables]
  }
  #layout = (rows: number): RowsLayout[] => this.options.layers.map(l => this.layout(l, rows, this.options.chunk))

  #operands(layout: RowsLayout, tokens: StepTokens, effects: Tensor[]): SlotRows {
    const slots = input(`slots:${layout.key}`, 'i32', [tokens.count])
    const numbers = (kind: string, values: Tensor, wanted: boolean) =>
      wanted
        ? appendNumbers(state(`${kind}:${layout.key}`, 'i32', [tokens.batchRows, layout.capacity]), values, tokens, slots, effects)
        : undefined
    return {
      capacity: layout.capacity,
      slots,
      lengths: input(`lengths:${layout.key}`, 'i32', [tokens.batchRows]),
      rows: numbers('rows', tokens.row, layout.remembersRows),
      positions: numbers('positions', tokens.position, this.#positioned(layout)),
      find: layout.find,
    }
  }
  #positioned = (layout: RowsLayout): boolean => this.options.layers.some((l, i) => l.positions && this.#layouts[i].key === layout.key)
  #tableNames(layouts: readonly RowsLayout[]): Map<string, number> {
    const out = new Map<string, number>()
    for (const l of distinct(layouts)) {
      if (l.remembersRows) out.set(`rows:${l.key}`, l.capacity)
      if (this.options.layers.some((x, i) => x.positions && layouts[i].key === l.key)) out.set(`positions:${l.key}`, l.capacity)
    }
    return out
  }
}

const TABLES = ['rows', 'positions']
export const partName = (part: string, layer: number): string => `${part}.${layer}`
const distinct = (layouts: readonly RowsLayout[]): RowsLayout[] => [...new Map(layouts.map(l => [l.key, l])).values()]
