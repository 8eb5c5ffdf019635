import type { StepTokens } from '@attune/attention'
import { AttuneError, bytesOf, input, length, scatterRows, state, type Tensor } from '@attune/tensor'
import { BatchBuffers } from './batch-buffers.ts'
import { type Keeper, type KeeperOptions, ownRows, type RowsView, type Sharing, type StepPlan } from './keeper.ts'
import { bucket } from './manager.ts'
import { ObservedState } from './observed-state.ts'
import { PackedRows } from './packed-rows.ts'
import { PagePool } from './page-pool.ts'
import { newSlots, type PagedRows, pagedPast, rowsOfSlots } from './paged-graph.ts'
import { loadPages, savedPages, savePages } from './paged-save.ts'
import type { EvictionPolicy } from './policy.ts'
import type { QuantisedSettings } from './quantised.ts'
import { partName } from './slot-keeper.ts'

export interface PagedOptions {
  /** Slots in a page. */
  readonly page: number
  readonly policy?: EvictionPolicy
  readonly packed?: QuantisedSettings
}

/** Keeps rows in pages of one key head each: shared by forks until written, freed by eviction, so lengths differ by head. */
export class PagedKeeper implements Keeper {
  /** Pages per layer that keeps rows. */
  readonly pools: readonly (PagePool | undefined)[]
  readonly observed?: ObservedState
  /** Rows that were packed since, beside those in pages. */
  readonly packed?: PackedRows
  readonly #kept: BatchBuffers
  readonly #heads: number
  #batchRows = 1
  #most = 1
  #evicted = false

  constructor(
    readonly options: KeeperOptions,
    readonly paging: PagedOptions,
  ) {
    this.pools = options.layers.map(({ spec, positions }, i) => {
      const parts = ownRows(spec)
      if (parts.length === 0) return undefined
      const heads = parts[0][1].heads
      const odd = parts.find(([, kind]) => kind.heads !== heads)
      if (odd)
        throw new AttuneError(
          'ERR_UNSUPPORTED',
          `layer ${i}: paged rows have as many heads in every part; '${odd[0]}' has ${odd[1].heads}, another ${heads}`,
          { layer: i },
        )
      if (positions)
        throw new AttuneError('ERR_UNSUPPORTED', `layer ${i}: its score reads key positions, which the paged cache does not keep`, {
          layer: i,
        })
      const bytes = Object.fromEntries(parts.map(([name, { width }]) => [partName(name, i), bytesOf(options.kv, width)]))
      return new PagePool(options.device, heads, paging.page, bytes, leastRows(paging.packed))
    })
    this.#heads = Math.max(1, ...this.pools.map(p => p?.tables.heads ?? 0))
    this.#kept = new BatchBuffers(options.device)
    if (paging.packed) this.packed = new PackedRows(options, paging.packed)
    if (paging.policy) this.observed = new ObservedState(options, paging.policy)
  }

  get key(): string {
    const own = [`paged${this.paging.page}`, this.#capacity, this.#evicted, ...this.pools.map(p => p && this.#mostPages(p))]
    return [...own, this.packed?.key].join(' ')
  }
  get bytes(): number {
    return this.pools.reduce((n, p) => n + (p?.bytes ?? 0), this.packed?.bytes ?? 0)
  }
  get allocations(): number {
    const tables = [this.#kept, this.observed, this.packed].reduce((n, x) => n + (x?.allocations ?? 0), 0)
    return this.pools.reduce((n, p) => n + (p?.allocations ?? 0), tables)
  }
  get observes(): 'all' | number | undefined {
    return this.observed?.queries
  }
  /** Pages the graphs are built for: twice what sequences can use, as pages may also wait to be shared. */
  #mostPages(pool: PagePool): number {
    let n = (2 * this.#batchRows * pool.tables.heads * this.#capacity) / this.paging.page
    while (n < pool.allocated) n *= 2
    return n
  }
  /** Slots the graphs are built for. */
  get #capacity(): number {
    return Math.max(bucket(this.#most), this.paging.page)
  }

  async reserve(batchRows: number, rows: ArrayLike<number>): Promise<void> {
    this.#batchRows = batchRows
    this.#most = Math.max(this.#most, ...Array.from(rows))
    for (const pool of this.pools) await pool?.reserve(rows)
    if (this.#evicted) await this.#fitKept()
    await this.observed?.reserve(batchRows, this.#capacity)
    await this.packed?.reserve(batchRows)
  }

  inputs({ batchRows, items, rows }: StepPlan): Record<string, Int32Array> {
    const perRow = this.#capacity / this.paging.page
    const heads = this.#heads
    const pages = new Int32Array(this.pools.length * batchRows * heads * perRow)
    const lengths = new Int32Array(this.pools.length * batchRows * heads)
    const counts = new Int32Array(lengths.length)
    for (const [i, pool] of this.pools.entries()) {
      if (!pool) continue
      for (const b of pool.tables.rowsHeld()) {
        if (b < 0 || b >= batchRows) continue
        for (const [h, slots] of pool.tables.of(b).entries()) {
          const at = (i * batchRows + b) * heads + h
          pages.set(slots.pages.slice(0, perRow), at * perRow)
          lengths[at] = pool.tables.length(b, h, rows[b])
          counts[at] = slots.kept?.length ?? 0
        }
      }
    }
    const before = rows.slice(0, batchRows)
    for (const item of items) before[item.row] = item.before
    const own = { 'paged:pages': pages, 'paged:lengths': lengths, 'paged:after': rows.slice(0, batchRows) }
    const more = this.packed?.inputs(batchRows)
    return { ...own, ...more, ...(this.#evicted ? { 'paged:kept': counts } : {}), ...(this.observed ? { 'paged:before': before } : {}) }
  }
  lengths(): Record<string, number> {
    const own = Object.fromEntries(
      this.pools.flatMap((p, i) => {
        if (!p) return []
        return [
          [`pages.${i}`, p.allocated],
          [`rows.${i}`, p.allocated * this.paging.page],
        ]
      }),
    )
    return { ...own, ...this.packed?.lengths() }
  }
  buffers() {
    return Object.assign({}, ...this.pools.map(p => p?.buffers()), this.#kept.all(), this.observed?.buffers(), this.packed?.buffers())
  }

  graph(tokens: StepTokens, effects: Tensor[], observe: boolean): (layer: number) => RowsView {
    const { page } = this.paging
    const b = tokens.batchRows
    const [capacity, heads] = [this.#capacity, this.#heads]
    const all = [this.pools.length, b, heads]
    const pages = input('paged:pages', 'i32', [...all, capacity / page])
    const lengths = input('paged:lengths', 'i32', all)
    const after = input('paged:after', 'i32', [b])
    const counts = this.#evicted ? input('paged:kept', 'i32', all) : undefined
    const before = this.observed && observe ? input('paged:before', 'i32', [b]) : undefined
    return i => {
      const pool = this.pools[i]
      const parts = ownRows(this.options.layers[i].spec)
      const of = (t: Tensor) =>
        t
          .slice(0, i, i + 1)
          .squeeze(0)
          .slice(1, 0, pool?.tables.heads ?? 1)
      const base: PagedRows = { size: page, capacity, pages: of(pages), lengths: of(lengths), after }
      const rows = pool && counts ? rowsOfSlots(state(`kept.${i}`, 'i32', [b, pool.tables.heads, capacity]), of(counts), base) : undefined
      const observing = pool && before && this.observed!.observer(i, base.lengths, before, tokens, capacity, effects)
      const own = { ...base, rows, observing }
      const most = pool ? this.#mostPages(pool) : 1
      const pageCount = length(`pages.${i}`, most)
      const rowCount = length(`rows.${i}`, most * page)
      const pools = Object.fromEntries(
        parts.map(([name, { width }]) => [name, state(partName(name, i), this.options.kv, [rowCount, width])]),
      )
      const packed = this.packed?.segment(i, tokens)
      let index: Tensor | undefined
      return {
        append(values) {
          index ??= pool && newSlots(tokens, own)
          for (const [name, value] of Object.entries(values)) effects.push((pools[name] = scatterRows(pools[name], index!, value)))
          const past = pagedPast({ ...pools }, pageCount, tokens, own)
          return packed ? { ...past, more: [packed], at: inPieces, dense: inPieces } : past
        },
        rewrite(part) {
          throw new AttuneError('ERR_UNSUPPORTED', `paged rows are not rewritten: layer ${i}, part '${part}'`, { layer: i, part })
        },
      }
    }
  }

  trim(row: number, _from: number, to: number): void {
    for (const pool of this.pools) {
      pool?.tables.trim(row, to)
      pool?.setRows(row, to)
    }
  }
  async fork(from: number, to: number): Promise<void> {
    for (const pool of this.pools) pool?.fork(from, to)
    await this.#kept.copyRow(from, to)
    await this.observed?.fork(from, to)
    await this.packed?.fork(from, to)
  }
  close(row: number): void {
    for (const pool of this.pools) pool?.close(row)
    this.packed?.close(row)
  }
  savedBytes(rows: number): Record<string, number> {
    return savedPages(this.pools, rows)
  }
  save(row: number, rows: number): Promise<Record<string, Uint8Array>> {
    return savePages(this.pools, row, rows)
  }
  load(row: number, _rows: number, saved: Readonly<Record<string, Uint8Array>>): Promise<void> {
    return loadPages(this.pools, row, saved)
  }
  get sharing(): Sharing | undefined {
    // A sum over all queries so far would lack those of the shared rows.
    if (this.paging.policy?.observes.mass === 'all') return undefined
    const every = this.paging.page
    const bytes = this.pools.reduce((n, p) => n + Object.values(p?.rowBytes ?? {}).reduce((m, x) => m + x * every * p!.tables.heads, 0), 0)
    return { every, bytes, whole: false }
  }
  async hold(row: number, holder: number, rows: number): Promise<number | undefined> {
    if (this.pools.some(pool => pool?.tables.of(row).some(head => head.kept))) return undefined
    for (const pool of this.pools) {
      pool?.tables.fork(row, holder)
      pool?.tables.trim(holder, rows)
    }
    return 0
  }
  async adopt(holder: number, row: number, rows: number): Promise<void> {
    for (const pool of this.pools) {
      pool?.tables.fork(holder, row)
      pool?.setRows(row, rows)
    }
  }
  release(holder: number): void {
    for (const pool of this.pools) pool?.tables.close(holder)
  }
  get sharedBytes(): number {
    return this.pools.reduce(
      (n, p) => n + Object.keys(p?.rowBytes ?? {}).reduce((m, name) => m + p!.pageBytes(name), 0) * (p?.tables.shared ?? 0),
      0,
    )
  }
  dispose(): void {
    for (const pool of this.pools) pool?.dispose()
    this.#kept.dispose()
    this.observed?.dispose()
    this.packed?.dispose()
  }

  /** Puts the rows that a batch row kept on the device, after an eviction. */
  async writeKept(row: number): Promise<void> {
    this.#evicted = true
    await this.#fitKept()
    for (const [i, pool] of this.pools.entries()) {
      if (!pool) continue
      const table = new Int32Array(pool.tables.heads * this.#capacity)
      for (const [h, { kept }] of pool.tables.of(row).entries()) if (kept) table.set(kept, h * this.#capacity)
      await this.#kept.writeRow(`kept.${i}`, row, new Uint8Array(table.buffer))
    }
  }
  async #fitKept(): Promise<void> {
    for (const [i, pool] of this.pools.entries())
      if (pool)
        await this.#kept.fit(`kept.${i}`, { batchRows: this.#batchRows, runs: pool.tables.heads, items: this.#capacity, itemBytes: 4 })
  }
}

const inPieces = (): never => {
  throw new AttuneError('ERR_UNSUPPORTED', 'packed rows are not given out one by one or in one piece', {})
}

/** Rows of a head there is always room for: where rows are packed, as many as ever are not. */
export const leastRows = (packed?: QuantisedSettings): number =>
  packed ? Math.min(128, packed.sinks + packed.recent + 2 * packed.group) : 128
