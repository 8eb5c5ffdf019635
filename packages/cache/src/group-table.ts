import { PageHolders } from './page-holders.ts'

/** Which pages hold the token groups of each batch row, in order. A page is never changed once written, so any number may share it. */
export class GroupTable extends PageHolders {
  readonly #groups = new Map<number, number[]>()

  of = (row: number): readonly number[] => this.#groups.get(row) ?? []

  /** Makes a row have `count` groups: new pages at its end, or fewer. */
  resize(row: number, count: number): void {
    const own = this.#groups.get(row) ?? []
    this.#groups.set(row, own)
    while (own.length < count) own.push(this.take())
    for (const page of own.splice(count)) this.release(page)
  }
  fork(from: number, to: number): void {
    this.adopt(to, this.of(from))
  }
  /** Gives a row pages that others hold. */
  adopt(row: number, pages: readonly number[]): void {
    for (const page of pages) this.hold(page)
    this.resize(row, 0)
    this.#groups.set(row, [...pages])
  }
}
