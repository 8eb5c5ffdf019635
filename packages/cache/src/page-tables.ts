import { AttuneError } from '@attune/tensor'
import { PageHolders } from './page-holders.ts'

/** Slots of one (batch row, key head): its pages, and which rows were kept when rows were last evicted. */
export interface HeadSlots {
  readonly pages: number[]
  /** Rows of the first slots, when some were evicted; after them rows count up from `evictedAt`. */
  kept?: Int32Array
  /** Positions of the same slots, when they were given new ones. */
  positions?: Int32Array
  evictedAt: number
}

/** Of each head: slots in use, the row of each, and the position of each when the next token's is `next`. */
export function headsNow(tables: PageTables, row: number, rows: number, next = rows) {
  const heads = tables.of(row)
  const lengths = heads.map((_, h) => tables.length(row, h, rows))
  const rowsOf = heads.map(({ kept }, h) => {
    const all = Int32Array.from({ length: lengths[h] }, (_, s) => rows - lengths[h] + s)
    if (kept) all.set(kept)
    return all
  })
  const positionsOf = heads.map(({ positions }, h) => {
    if (!positions) return rowsOf[h].map(r => r + next - rows)
    const all = Int32Array.from({ length: lengths[h] }, (_, s) => next - lengths[h] + s)
    all.set(positions)
    return all
  })
  return { lengths, rowsOf, positionsOf }
}

const fresh = (): HeadSlots => ({ pages: [], evictedAt: 0 })

/** Who holds which page of one layer's pools. A page holds `size` slots of one key head; several sequences may share it. */
export class PageTables extends PageHolders {
  readonly #slots = new Map<number, HeadSlots[]>()

  constructor(
    readonly heads: number,
    readonly size: number,
  ) {
    super()
  }

  rowsHeld = (): number[] => [...this.#slots.keys()]
  of(row: number): readonly HeadSlots[] {
    let s = this.#slots.get(row)
    if (!s) this.#slots.set(row, (s = Array.from({ length: this.heads }, fresh)))
    return s
  }
  /** Slots a head has once its sequence has had `rows` rows. */
  length(row: number, head: number, rows: number): number {
    const { kept, evictedAt } = this.of(row)[head]
    return (kept?.length ?? 0) + rows - (kept ? evictedAt : 0)
  }

  /** Gives a row pages for `rows` rows. Returns the pages whose content must be copied first, as they were shared: [from, to]. */
  grow(row: number, before: number, rows: number): [number, number][] {
    const copies: [number, number][] = []
    for (const [h, { pages }] of this.of(row).entries()) {
      const [had, has] = [this.length(row, h, before), this.length(row, h, rows)]
      const written = Math.floor(had / this.size)
      if (has > had && written < pages.length && this.isShared(pages[written])) {
        const own = this.take()
        copies.push([pages[written], own])
        this.release(pages[written])
        pages[written] = own
      }
      while (pages.length * this.size < has) pages.push(this.take())
    }
    return copies
  }
  /** Forgets rows from `rows` on. Errors: `ERR_UNSUPPORTED` where rows before them were evicted since. */
  trim(row: number, rows: number): void {
    const gone = this.of(row).find(s => s.kept && rows < s.evictedAt)
    if (gone)
      throw new AttuneError('ERR_UNSUPPORTED', `rows were evicted after row ${gone.evictedAt}; a trim to ${rows} would need them`, { rows })
    for (const [h, { pages }] of this.of(row).entries()) {
      const need = Math.ceil(this.length(row, h, rows) / this.size)
      for (const page of pages.splice(need)) this.release(page)
    }
  }
  fork(from: number, to: number): void {
    this.close(to)
    this.#slots.set(
      to,
      this.of(from).map(s => ({ ...s, pages: s.pages.map(p => this.hold(p)) })),
    )
  }
  close(row: number): void {
    for (const { pages } of this.#slots.get(row) ?? []) for (const page of pages) this.release(page)
    this.#slots.delete(row)
  }

  /** Replaces a head's slots by `kept` ones in pages of its own; returns those pages. */
  evict(row: number, head: number, kept: Int32Array, positions: Int32Array | undefined, rows: number): readonly number[] {
    const slots = this.of(row)[head]
    for (const page of slots.pages.splice(0)) this.release(page)
    for (let i = 0; i < kept.length; i += this.size) slots.pages.push(this.take())
    slots.kept = kept
    slots.positions = positions
    slots.evictedAt = rows
    return slots.pages
  }
  override compact(): number[] {
    const old = super.compact()
    const next = new Map(old.map((page, i) => [page, i]))
    for (const heads of this.#slots.values()) for (const { pages } of heads) for (const [i, p] of pages.entries()) pages[i] = next.get(p)!
    return old
  }
}
