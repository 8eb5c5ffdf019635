/** Which pages hold the token groups of each batch row, in order. A page is never changed once written, so any number may share it. */
export class GroupTable {
  readonly #groups = new Map<number, number[]>()
  readonly #references: number[] = []
  readonly #free: number[] = []

  /** Pages there must be room for. */
  get pages(): number {
    return this.#references.length
  }
  get used(): number {
    return this.#references.length - this.#free.length
  }
  /** Pages of several sequences. */
  get shared(): number {
    return this.#references.filter(n => n > 1).length
  }
  of = (row: number): readonly number[] => this.#groups.get(row) ?? []

  /** Makes a row have `count` groups: new pages at its end, or fewer. */
  resize(row: number, count: number): void {
    const own = this.#groups.get(row) ?? []
    this.#groups.set(row, own)
    while (own.length < count) own.push(this.#take())
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
  hold(page: number): void {
    this.#references[page]++
  }
  release(page: number): void {
    if (--this.#references[page] === 0) this.#free.push(page)
  }

  #take(): number {
    const page = this.#free.pop() ?? this.#references.push(0) - 1
    this.#references[page] = 1
    return page
  }
}
