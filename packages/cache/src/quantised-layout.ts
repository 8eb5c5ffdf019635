import type { StepPlan } from './keeper.ts'
import type { QuantisedSettings } from './quantised.ts'

/** Where rows of a sequence lie: the first `sinks` and the last ones in slots as they are, whole groups in between as codes. */
export class QuantisedLayout {
  /** Slots of rows as they are, per sequence. */
  readonly slots: number
  constructor(readonly settings: QuantisedSettings) {
    this.slots = settings.sinks + settings.recent + settings.group - 1
  }
  /** Groups that are codes once a sequence has `rows` rows. */
  groups = (rows: number): number => {
    const { sinks, recent, group } = this.settings
    return Math.floor(Math.max(0, rows - sinks - recent) / group)
  }
  /** First row that is not in a coded group then. */
  firstPlain = (rows: number): number => this.settings.sinks + this.groups(rows) * this.settings.group
  slot = (row: number): number => {
    const { sinks } = this.settings
    return row < sinks ? row : sinks + ((row - sinks) % (this.slots - sinks))
  }
  /** Row that a slot holds once a sequence has `rows` rows; −1 for none or one that is coded. */
  rowIn(slot: number, rows: number): number {
    const { sinks } = this.settings
    if (slot < sinks) return slot < rows ? slot : -1
    const ring = this.slots - sinks
    const row = rows - 1 - ((((rows - 1 - slot) % ring) + ring) % ring)
    return row >= this.firstPlain(rows) ? row : -1
  }
  /** Groups that a step of `tokens` tokens may complete. */
  most = (tokens: number, batchRows: number): number => Math.floor(tokens / this.settings.group) + batchRows

  /** A step's tables; `page(row, group)` says where groups lie. */
  tables({ batchRows, capacity, items, rows }: StepPlan, pages: (row: number) => readonly number[], groupCapacity: number) {
    const { slots } = this
    const { group, sinks } = this.settings
    const width = slots + capacity
    const count = items.reduce((n, i) => n + i.count, 0)
    const most = this.most(capacity, batchRows)
    const plain = new Int32Array(batchRows * width).fill(-1)
    const lengths = new Int32Array(batchRows)
    const table = new Int32Array(batchRows * groupCapacity).fill(-1)
    const coded = new Int32Array(batchRows)
    const keep = new Int32Array(count).fill(-1)
    const fresh = {
      batch: new Int32Array(most),
      page: new Int32Array(most).fill(-1),
      slots: new Int32Array(most * group),
      rows: new Int32Array(most * group),
    }
    let token = 0
    let next = 0
    for (const { row: b, before, count: n } of items) {
      const after = before + n
      const inStep = (row: number) => (row >= before ? slots + row - before : this.slot(row))
      for (let j = 0; j < slots; j++) plain[b * width + j] = this.rowIn(j, before)
      for (let i = 0; i < n; i++) plain[b * width + slots + i] = before + i
      lengths[b] = slots + n
      const first = this.firstPlain(after)
      for (let i = 0; i < n; i++, token++) if (before + i < sinks || before + i >= first) keep[token] = this.slot(before + i)
      for (let g = this.groups(before); g < this.groups(after); g++, next++) {
        fresh.batch[next] = b
        fresh.page[next] = pages(b)[g]
        for (let t = 0; t < group; t++) {
          fresh.rows[next * group + t] = sinks + g * group + t
          fresh.slots[next * group + t] = inStep(sinks + g * group + t)
        }
      }
    }
    for (let b = 0; b < batchRows; b++) {
      const groups = this.groups(rows[b])
      table.set(pages(b).slice(0, groups), b * groupCapacity)
      coded[b] = groups * group
    }
    return { plain, lengths, table, coded, keep, fresh }
  }
}
