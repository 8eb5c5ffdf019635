import type { RowsKind, Segment, StepTokens } from '@attune/attention'
import { bytesOf, type DeviceBuffer, gatherRows, input, length, product, readAll, state, type Tensor, tensor } from '@attune/tensor'
import { BatchBuffers } from './batch-buffers.ts'
import { GroupTable } from './group-table.ts'
import { type KeeperOptions, ownRows } from './keeper.ts'
import { bucket } from './manager.ts'
import { codingOf, isTurned, type QuantisedSettings } from './quantised.ts'
import { type Coded, codedShape, decodeRows, encodeRows } from './quantised-codes.ts'
import { turning } from './quantised-graph.ts'
import { pageRoom } from './quantised-keeper.ts'
import { rotaryTurn } from './quantised-rotary.ts'
import { partName } from './slot-keeper.ts'

/** Rows of one layer to be packed: of each key head whole groups, their numbers in the sequence, and the numbers of each part. */
export interface TakenRows {
  readonly rows: readonly Int32Array[]
  readonly parts: Readonly<Record<string, readonly Float32Array[]>>
}
const FIELDS = ['codes', 'scale', 'middle'] as const

/** Rows that were packed between steps, in pages of one group of one key head, so heads may have unlike numbers of them. */
export class PackedRows {
  readonly #tables: readonly GroupTable[]
  readonly #rows: BatchBuffers
  readonly #pages = new Map<string, DeviceBuffer>()
  readonly #allocated: number[]
  #batchRows = 1
  #pageAllocations = 0

  constructor(
    readonly options: KeeperOptions,
    readonly settings: QuantisedSettings,
  ) {
    this.#tables = options.layers.map(() => new GroupTable())
    this.#allocated = options.layers.map(() => 0)
    this.#rows = new BatchBuffers(options.device)
  }

  get key(): string {
    return this.#groups > 0 ? [`packed${this.#groups}`, ...this.#allocated.map((_, i) => this.#mostPages(i))].join(' ') : ''
  }
  get bytes(): number {
    return [...this.#pages.values()].reduce((n, b) => n + b.bytes, 0)
  }
  get allocations(): number {
    return this.#rows.allocations + this.#pageAllocations
  }
  /** Whether rows of a sequence were packed. */
  has = (row: number): boolean => this.options.layers.some((_, i) => this.#heads(i).some(h => this.#of(i, row, h).length > 0))
  /** Groups of a head that graphs are built for; 0 while nothing is packed. */
  get #groups(): number {
    const { group } = this.settings
    let most = 0
    for (let b = 0; b < this.#batchRows; b++)
      for (const i of this.options.layers.keys()) for (const h of this.#heads(i)) most = Math.max(most, this.#of(i, b, h).length)
    return most > 0 ? Math.ceil(bucket(most * group) / group) : 0
  }
  #mostPages = (layer: number): number => bucket(this.#allocated[layer], this.#batchRows * this.#heads(layer).length * this.#groups)
  #kinds = (layer: number): [string, RowsKind][] => ownRows(this.options.layers[layer].spec)
  #heads = (layer: number): number[] => [...new Array(this.#kinds(layer)[0]?.[1].heads ?? 0).keys()]
  #holder = (layer: number, row: number, head: number): number => row * this.#heads(layer).length + head
  #of = (layer: number, row: number, head: number): readonly number[] => this.#tables[layer].of(this.#holder(layer, row, head))

  async reserve(batchRows: number): Promise<void> {
    this.#batchRows = batchRows
    const groups = this.#groups
    if (groups === 0) return
    for (const i of this.options.layers.keys()) {
      const runs = this.#heads(i).length
      if (runs > 0) await this.#rows.fit(tableName(i), { batchRows, runs, items: groups * this.settings.group, itemBytes: 4 })
    }
  }
  inputs(batchRows: number): Record<string, Int32Array> {
    const groups = this.#groups
    if (groups === 0) return {}
    const out: Record<string, Int32Array> = {}
    for (const i of this.options.layers.keys()) {
      const heads = this.#heads(i)
      if (heads.length === 0) continue
      const pages = new Int32Array(batchRows * heads.length * groups).fill(-1)
      const lengths = new Int32Array(batchRows * heads.length)
      for (let b = 0; b < batchRows; b++)
        for (const h of heads) {
          const own = this.#of(i, b, h)
          pages.set(own, (b * heads.length + h) * groups)
          lengths[b * heads.length + h] = own.length * this.settings.group
        }
      out[`packed.pages.${i}`] = pages
      out[`packed.lengths.${i}`] = lengths
    }
    return out
  }
  lengths = (): Record<string, number> =>
    this.#groups > 0 ? Object.fromEntries(this.#allocated.map((n, i) => [`packed.count.${i}`, n])) : {}
  buffers = (): Record<string, DeviceBuffer> => ({ ...Object.fromEntries(this.#pages), ...this.#rows.all() })

  /** What attention sees of a layer's packed rows; undefined while there are none. */
  segment(layer: number, { batchRows: b }: StepTokens): Segment | undefined {
    const [groups, { group }] = [this.#groups, this.settings]
    const kinds = this.#kinds(layer)
    if (groups === 0 || kinds.length === 0) return undefined
    const heads = this.#heads(layer).length
    const size = groups * group
    const lengths = input(`packed.lengths.${layer}`, 'i32', [b, heads])
    const pages = input(`packed.pages.${layer}`, 'i32', [b, heads, groups])
    const rows = state(tableName(layer), 'i32', [b, heads, size])
    const count = length(`packed.count.${layer}`, this.#mostPages(layer))
    const each = <T>(of: (name: string, kind: RowsKind) => T) => Object.fromEntries(kinds.map(([name, kind]) => [name, of(name, kind)]))
    const turn = turning(Object.fromEntries(kinds.filter(([, kind]) => isTurned(this.settings, kind))))
    return {
      parts: each((name, kind) => {
        const coding = codingOf(this.settings, kind)
        const shapes = codedShape(coding, group, 1, kind.width)
        const index = pages.reshape([b * heads * groups])
        const field = (f: keyof Coded) => gatherRows(state(pageName(name, layer, f), 'u8', [count, ...shapes[f]]), index)
        const decoded = decodeRows({ codes: field('codes'), scale: field('scale'), middle: field('middle') }, coding)
        const flat = decoded.reshape([b * heads * size, 1, kind.width])
        const own = this.#turn(layer, kind)
        return (own ? own(flat, rows.reshape([b * heads * size])) : flat).reshape([b, heads, size, kind.width])
      }),
      lengths: each(() => lengths),
      rows: each(() => rows),
      turn,
      turnBack: turn,
    }
  }

  /** Packs whole groups of a sequence's rows behind those it has packed before. */
  async pack(row: number, taken: readonly (TakenRows | undefined)[]): Promise<void> {
    const { device } = this.options
    const { group } = this.settings
    const outputs: Record<string, Tensor> = {}
    for (const [i, own] of taken.entries()) if (own) for (const [name, kind] of this.#kinds(i)) Object.assign(outputs, this.#coded(i, name, kind, own)) // biome-ignore format: one line
    if (Object.keys(outputs).length === 0) return
    const codes = await readAll(outputs, device)
    const old = new Map<number, readonly Int32Array[]>()
    for (const [i, own] of taken.entries()) {
      if (!own) continue
      old.set(i, await this.#rowsOf(i, row))
      for (const [h, rows] of own.rows.entries())
        this.#tables[i].resize(this.#holder(i, row, h), this.#of(i, row, h).length + rows.length / group)
      await this.#fitPages(i)
    }
    await this.reserve(this.#batchRows)
    for (const [i, own] of taken.entries()) {
      if (!own) continue
      for (const [name, bytes] of this.#pageBytes(i)) {
        const { data } = codes[name]
        const all = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
        let at = 0
        for (const [h, rows] of own.rows.entries()) {
          const fresh = rows.length / group
          for (const page of fresh > 0 ? this.#of(i, row, h).slice(-fresh) : [])
            await device.write(this.#pages.get(name)!, all.slice(at, (at += bytes)), page * bytes)
        }
      }
      await this.#writeRows(
        i,
        row,
        own.rows.map((rows, h) => Int32Array.from([...old.get(i)![h], ...rows])),
      )
    }
  }
  async fork(from: number, to: number): Promise<void> {
    for (const i of this.options.layers.keys())
      for (const h of this.#heads(i)) this.#tables[i].fork(this.#holder(i, from, h), this.#holder(i, to, h))
    await this.#rows.copyRow(from, to)
  }
  close(row: number): void {
    for (const i of this.options.layers.keys()) for (const h of this.#heads(i)) this.#tables[i].resize(this.#holder(i, row, h), 0)
  }
  dispose(): void {
    this.#rows.dispose()
    for (const b of this.#pages.values()) this.options.device.free(b)
    this.#pages.clear()
  }

  /** The graph values of a part's codes, by the buffers they go to. */
  #coded(layer: number, name: string, kind: RowsKind, { rows, parts }: TakenRows): Record<string, Tensor> {
    const numbers = joined(parts[name], Float32Array)
    const n = numbers.length / kind.width
    if (n === 0) return {}
    const turn = turning(isTurned(this.settings, kind) ? { [name]: kind } : {})
    const x = turn(name, tensor(numbers, [n, 1, kind.width]))
    const back = tensor(joined(rows, Int32Array).map(r => -r), [n]) // biome-ignore format: one line
    const own = this.#turn(layer, kind)
    const { group } = this.settings
    const coded = encodeRows((own ? own(x, back) : x).reshape([n / group, group, 1, kind.width]), codingOf(this.settings, kind))
    return Object.fromEntries(FIELDS.map(f => [pageName(name, layer, f), coded[f]]))
  }
  /** Keys are coded as they were before their rows turned them. */
  #turn(layer: number, kind: RowsKind) {
    const { rotary } = this.options.layers[layer]
    return this.settings.unrotate && kind.rotary && rotary && !isTurned(this.settings, kind)
      ? rotaryTurn(rotary, kind.rotary.at)
      : undefined
  }
  #pageBytes = (layer: number): [string, number][] =>
    this.#kinds(layer).flatMap(([name, kind]) => {
      const shapes = codedShape(codingOf(this.settings, kind), this.settings.group, 1, kind.width)
      return FIELDS.map((f): [string, number] => [pageName(name, layer, f), bytesOf('u8', product(shapes[f]))])
    })
  async #fitPages(layer: number): Promise<void> {
    const { device } = this.options
    const pages = pageRoom(this.#tables[layer].pages, this.settings.group)
    if (pages <= this.#allocated[layer]) return
    for (const [name, bytes] of this.#pageBytes(layer)) {
      const next = device.alloc(pages * bytes)
      this.#pageAllocations++
      const old = this.#pages.get(name)
      if (old) {
        await device.write(next, await device.read(old, 0, this.#allocated[layer] * bytes))
        device.free(old)
      }
      this.#pages.set(name, next)
    }
    this.#allocated[layer] = pages
  }
  /** Numbers of the rows that are packed, of each head. */
  async #rowsOf(layer: number, row: number): Promise<readonly Int32Array[]> {
    const heads = this.#heads(layer)
    const counts = heads.map(h => this.#of(layer, row, h).length * this.settings.group)
    if (counts.every(n => n === 0)) return counts.map(() => new Int32Array())
    const all = new Int32Array((await this.#rows.readRow(tableName(layer), row)).slice().buffer)
    const size = all.length / heads.length
    return counts.map((n, h) => all.slice(h * size, h * size + n))
  }
  async #writeRows(layer: number, row: number, rows: readonly Int32Array[]): Promise<void> {
    const size = this.#groups * this.settings.group
    const table = new Int32Array(rows.length * size)
    for (const [h, own] of rows.entries()) table.set(own, h * size)
    await this.#rows.writeRow(tableName(layer), row, new Uint8Array(table.buffer))
  }
}

const tableName = (layer: number): string => `packed.rows.${layer}`
const pageName = (part: string, layer: number, field: keyof Coded): string => `packed.${partName(part, layer)}:${field}`

function joined<T extends Float32Array | Int32Array>(runs: readonly T[], Type: new (n: number) => T): T {
  const out = new Type(runs.reduce((n, x) => n + x.length, 0))
  let at = 0
  for (const run of runs) {
    out.set(run, at)
    at += run.length
  }
  return out
}
