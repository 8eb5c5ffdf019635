/** How many hold each page of a pool. Pages that nobody holds are given out again, before the pool needs more. */
export class PageHolders {
  readonly #holders: number[] = []
  readonly #free: number[] = []

  /** Pages there must be room for. */
  get pages(): number {
    return this.#holders.length
  }
  get used(): number {
    return this.#holders.length - this.#free.length
  }
  /** Pages of several sequences. */
  get shared(): number {
    return this.#holders.filter(n => n > 1).length
  }
  isShared(page: number): boolean {
    return this.#holders[page] > 1
  }
  /** A page of its own for one holder. */
  take(): number {
    const page = this.#free.pop() ?? this.#holders.push(0) - 1
    this.#holders[page] = 1
    return page
  }
  /** One more holder of a page. */
  hold(page: number): number {
    this.#holders[page]++
    return page
  }
  release(page: number): void {
    if (--this.#holders[page] === 0) this.#free.push(page)
  }
  /** Renumbers pages without gaps; returns the old number of each. */
  compact(): number[] {
    const old = this.#holders.flatMap((n, page) => (n > 0 ? [page] : []))
    this.#holders.splice(0, this.#holders.length, ...old.map(page => this.#holders[page]))
    this.#free.length = 0
    return old
  }
}
