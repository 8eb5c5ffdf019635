import type { RowsKind, StepTokens } from '@attune/attention'
import { variable } from '@attune/expr'
import { AttuneError, bytesOf, type DeviceBuffer, input, length, mapExpr, product, state, type Tensor } from '@attune/tensor'
import { BatchBuffers } from './batch-buffers.ts'
import { GroupTable } from './group-table.ts'
import { type Keeper, type KeeperOptions, type LayerStates, ownRows, type RowsView, type Sharing, type StepPlan } from './keeper.ts'
import { bucket } from './manager.ts'
import { codingOf, isTurned, type QuantisedSettings } from './quantised.ts'
import { type Coded, codedShape } from './quantised-codes.ts'
import { appendQuantised, type QuantisedPart, type QuantisedTables, quantisedPast } from './quantised-graph.ts'
import { QuantisedLayout } from './quantised-layout.ts'
import { rotaryTurn } from './quantised-rotary.ts'
import { partName } from './slot-keeper.ts'
import { appendNumbers } from './slot-past.ts'

const FIELDS = ['codes', 'scale', 'middle'] as const

/** Keeps whole token groups as codes, in pages that sequences share, and the rest of the rows as they are. */
export class QuantisedKeeper implements Keeper {
  readonly layout: QuantisedLayout
  readonly groups = new GroupTable()
  readonly #plain: BatchBuffers
  readonly #positions: BatchBuffers
  readonly #held = new Map<number, Uint8Array[]>()
  readonly #pages = new Map<string, DeviceBuffer>()
  #batchRows = 1
  #most = 1
  /** Pages that the buffers have. */
  #allocated = 0
  #pageAllocations = 0

  constructor(
    readonly options: KeeperOptions,
    readonly settings: QuantisedSettings,
  ) {
    this.layout = new QuantisedLayout(settings)
    this.#plain = new BatchBuffers(options.device)
    this.#positions = new BatchBuffers(options.device)
  }

  get key(): string {
    return `quantised${this.#groupCapacity},${this.#pageCapacity}`
  }
  get bytes(): number {
    return [...this.#pages.values()].reduce((n, b) => n + b.bytes, this.#plain.bytes)
  }
  get allocations(): number {
    return this.#plain.allocations + this.#positions.allocations + this.#pageAllocations
  }
  /** Groups of a sequence, and pages of all, that graphs are built for. */
  get #groupCapacity(): number {
    return Math.ceil(bucket(this.#most) / this.settings.group)
  }
  get #pageCapacity(): number {
    return bucket(this.#allocated, this.#groupCapacity * this.#batchRows)
  }

  async reserve(batchRows: number, rows: ArrayLike<number>): Promise<void> {
    this.#batchRows = batchRows
    this.#most = Math.max(this.#most, ...Array.from(rows))
    for (let b = 0; b < rows.length; b++) this.groups.resize(b, this.layout.groups(rows[b]))
    await this.#fitPages(pageRoom(this.groups.pages, this.settings.group))
    for (const [i, { spec }] of this.options.layers.entries())
      for (const [part, { heads, width }] of ownRows(spec))
        await this.#plain.fit(partName(part, i), {
          batchRows,
          runs: heads,
          items: this.layout.slots,
          itemBytes: bytesOf(this.options.kv, width),
        })
    if (this.#positioned) await this.#positions.fit('positions', { batchRows, runs: 1, items: bucket(this.#most), itemBytes: 4 })
  }
  inputs(step: StepPlan): Record<string, Int32Array> {
    const t = this.layout.tables(step, this.groups.of, this.#groupCapacity)
    return {
      'quantised:plain': t.plain,
      'quantised:lengths': t.lengths,
      'quantised:groups': t.table,
      'quantised:coded': t.coded,
      'quantised:keep': t.keep,
      'quantised:fresh-batch': t.fresh.batch,
      'quantised:fresh-page': t.fresh.page,
      'quantised:fresh-slots': t.fresh.slots,
      'quantised:fresh-rows': t.fresh.rows,
    }
  }
  lengths = (): Record<string, number> => ({ 'quantised:pages': this.#allocated })
  buffers = () => ({ ...this.#plain.all(), ...this.#positions.all(), ...Object.fromEntries(this.#pages) })

  graph(tokens: StepTokens, effects: Tensor[]): (layer: number) => RowsView {
    const t = this.#tables(tokens, effects)
    const pages = length('quantised:pages', this.#pageCapacity)
    return i => {
      const layer = this.options.layers[i]
      const kinds = Object.fromEntries(ownRows(layer.spec))
      const own = (name: string, kind: RowsKind): QuantisedPart => {
        const coding = codingOf(this.settings, kind)
        const shapes = codedShape(coding, this.settings.group, kind.heads, kind.width)
        const turns = this.settings.unrotate && kind.rotary && layer.rotary && !isTurned(this.settings, kind)
        return {
          kind,
          coding,
          turn: turns ? rotaryTurn(layer.rotary!, kind.rotary!.at) : undefined,
          plain: state(partName(name, i), this.options.kv, [tokens.batchRows, kind.heads, this.layout.slots, kind.width]),
          pages: mapFields(field => state(pageName(name, i, field), 'u8', [pages, ...shapes[field]])),
        }
      }
      const parts: Record<string, ReturnType<typeof appendQuantised>> = {}
      return {
        append: values => {
          for (const [name, value] of Object.entries(values))
            parts[name] = appendQuantised(own(name, kinds[name]), value, tokens, t, this.settings, this.options.kv, effects)
          return quantisedPast({ ...parts }, kinds, tokens, t, this.settings)
        },
        rewrite(part) {
          throw new AttuneError('ERR_UNSUPPORTED', `quantised rows are not rewritten: layer ${i}, part '${part}'`, { layer: i, part })
        },
      }
    }
  }

  trim(row: number, from: number, to: number): void {
    const first = this.layout.firstPlain(to)
    // Rows of a group that was coded since are lost as they were.
    if (first < to && this.layout.groups(from) > this.layout.groups(to))
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `rows ${first} … ${to - 1} are no longer there as they were given; a quantised cache of ${from} rows can be trimmed to ${first} or fed again`,
        { rows: to, exact: first },
      )
    this.groups.resize(row, this.layout.groups(to))
  }
  async fork(from: number, to: number): Promise<void> {
    this.groups.fork(from, to)
    await this.#plain.copyRow(from, to)
    await this.#positions.copyRow(from, to)
  }
  close(row: number): void {
    this.groups.resize(row, 0)
  }
  savedBytes(rows: number): Record<string, number> {
    const groups = this.layout.groups(rows)
    const { kv, layers } = this.options
    return Object.fromEntries([
      ...layers.flatMap(({ spec }, i) =>
        ownRows(spec).map(([name, { heads, width }]) => [partName(name, i), heads * this.layout.slots * bytesOf(kv, width)]),
      ),
      ...this.#pageBytes().map(([name, bytes]) => [name, groups * bytes]),
      ...(this.#positioned ? [['positions', 4 * rows]] : []),
    ])
  }
  async save(row: number, rows: number): Promise<Record<string, Uint8Array>> {
    const { device, layers } = this.options
    const out: Record<string, Uint8Array> = {}
    for (const [i, { spec }] of layers.entries())
      for (const [name] of ownRows(spec)) out[partName(name, i)] = await this.#plain.readRow(partName(name, i), row)
    const pages = this.groups.of(row)
    for (const [name, bytes] of this.#pageBytes()) {
      out[name] = new Uint8Array(pages.length * bytes)
      for (const [i, page] of pages.entries()) out[name].set(await device.read(this.#pages.get(name)!, page * bytes, bytes), i * bytes)
    }
    if (this.#positioned) out.positions = await this.#positions.saveRow('positions', row, rows)
    return out
  }
  async load(row: number, rows: number, saved: Readonly<Record<string, Uint8Array>>): Promise<void> {
    const { device, layers } = this.options
    for (const [i, { spec }] of layers.entries())
      for (const [name] of ownRows(spec)) await this.#plain.writeRow(partName(name, i), row, saved[partName(name, i)])
    for (const [name, bytes] of this.#pageBytes())
      for (const [i, page] of this.groups.of(row).entries())
        await device.write(this.#pages.get(name)!, saved[name].subarray(i * bytes, (i + 1) * bytes), page * bytes)
    if (this.#positioned) await this.#positions.loadRow('positions', row, rows, saved.positions)
  }
  /** Groups are shared; rows as they are belong to one length of a sequence and are copied. */
  get sharing(): Sharing | undefined {
    if (this.#positioned) return undefined
    return { every: this.settings.group, bytes: this.#pageBytes().reduce((n, [, bytes]) => n + bytes, 0), whole: true }
  }
  async hold(row: number, holder: number, rows: number): Promise<number> {
    this.groups.adopt(holder, this.groups.of(row).slice(0, this.layout.groups(rows)))
    const plain = await Promise.all(this.#plainNames().map(name => this.#plain.readRow(name, row)))
    this.#held.set(holder, plain)
    return plain.reduce((n, x) => n + x.byteLength, 0)
  }
  async adopt(holder: number, row: number): Promise<void> {
    this.groups.fork(holder, row)
    for (const [i, name] of this.#plainNames().entries()) await this.#plain.writeRow(name, row, this.#held.get(holder)![i])
  }
  release(holder: number): void {
    this.groups.resize(holder, 0)
    this.#held.delete(holder)
  }
  get sharedBytes(): number {
    return this.groups.shared * this.#pageBytes().reduce((n, [, bytes]) => n + bytes, 0)
  }
  dispose(): void {
    this.#plain.dispose()
    this.#positions.dispose()
    for (const b of this.#pages.values()) this.options.device.free(b)
    this.#pages.clear()
  }

  #plainNames = (): string[] => this.options.layers.flatMap(({ spec }, i) => ownRows(spec).map(([name]) => partName(name, i)))
  get #positioned(): boolean {
    return this.options.layers.some(l => l.positions)
  }
  #tables(tokens: StepTokens, effects: Tensor[]): QuantisedTables {
    const b = tokens.batchRows
    const n = typeof tokens.count === 'number' ? tokens.count : tokens.count.max
    const most = this.layout.most(n, b)
    const capacity = this.#groupCapacity
    const { group, sinks } = this.settings
    const slot = variable('i0', 'i32')
    const i32 = (name: string, shape: Parameters<typeof input>[2]) => input(`quantised:${name}`, 'i32', shape)
    const places = this.#positioned && state('positions', 'i32', [b, bucket(this.#most)])
    return {
      slots: this.layout.slots,
      plain: i32('plain', [b, this.layout.slots + n]),
      lengths: i32('lengths', [b]),
      groups: i32('groups', [b, capacity]),
      coded: i32('coded', [b]),
      keep: i32('keep', [tokens.count]),
      freshBatch: i32('fresh-batch', [most]),
      freshPage: i32('fresh-page', [most]),
      freshSlots: i32('fresh-slots', [most, group]),
      freshRows: i32('fresh-rows', [most * group]),
      codedRows: mapExpr(slot.mod(capacity * group).add(sinks), [], { dtype: 'i32', shape: [b * capacity * group] }),
      positions: places ? appendNumbers(places, tokens.position, tokens, tokens.row, effects) : undefined,
    }
  }
  #pageBytes = (): [string, number][] => pageBytes(this.options.layers, this.settings)
  async #fitPages(pages: number): Promise<void> {
    const { device } = this.options
    if (pages <= this.#allocated) return
    for (const [name, bytes] of this.#pageBytes()) {
      const next = device.alloc(pages * bytes)
      this.#pageAllocations++
      const old = this.#pages.get(name)
      if (old) {
        await device.write(next, await device.read(old, 0, this.#allocated * bytes))
        device.free(old)
      }
      this.#pages.set(name, next)
    }
    this.#allocated = pages
  }
}

const pageName = (part: string, layer: number, field: keyof Coded): string => `${partName(part, layer)}:${field}`
const mapFields = (make: (field: keyof Coded) => Tensor): Coded => ({ codes: make('codes'), scale: make('scale'), middle: make('middle') })

/** Bytes of a page in each buffer. */
export const pageBytes = (layers: readonly LayerStates[], settings: QuantisedSettings): [string, number][] =>
  layers.flatMap(({ spec }, i) =>
    ownRows(spec).flatMap(([name, kind]) => {
      const shapes = codedShape(codingOf(settings, kind), settings.group, kind.heads, kind.width)
      return FIELDS.map((field): [string, number] => [pageName(name, i, field), product(shapes[field])])
    }),
  )

/** Room for a few pages more than needed, one part in 32 at most: pages are what little is kept of many rows. */
export function pageRoom(pages: number, group: number): number {
  let step = 1
  while (step * 64 <= pages) step *= 2
  return Math.max(Math.ceil(128 / group), Math.ceil(pages / step) * step)
}
