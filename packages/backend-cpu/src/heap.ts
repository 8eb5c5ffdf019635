import { roundUp } from './encode.ts'

interface Block {
  at: number
  size: number
}

/** Divides the address range [base, …) that `grow` extends: free blocks in order of address, best fit, neighbours joined. */
export class Heap {
  readonly #free: Block[] = []
  /** Everything from here on was never handed out. */
  #fresh: number
  #end: number

  /** `grow(bytes)` makes the range at least that much longer and returns its new end, or undefined. */
  constructor(
    base: number,
    end: number,
    readonly grow: (bytes: number) => number | undefined,
  ) {
    this.#fresh = roundUp(base)
    this.#end = end
  }

  /** `dirty`: the block was in use before. Undefined when the range cannot grow enough. */
  alloc(bytes: number): { address: number; dirty: boolean } | undefined {
    const size = Math.max(64, roundUp(bytes))
    let best = -1
    for (let i = 0; i < this.#free.length; i++) {
      const { size: have } = this.#free[i]
      if (have >= size && (best < 0 || have < this.#free[best].size)) best = i
    }
    if (best >= 0) {
      const block = this.#free[best]
      const address = block.at
      block.at += size
      block.size -= size
      if (block.size === 0) this.#free.splice(best, 1)
      return { address, dirty: true }
    }
    const missing = this.#fresh + size - this.#end
    if (missing > 0) {
      const end = this.grow(missing)
      if (end === undefined) return undefined
      this.#end = end
    }
    const address = this.#fresh
    this.#fresh += size
    return { address, dirty: false }
  }

  free(address: number, bytes: number): void {
    const size = Math.max(64, roundUp(bytes))
    let i = this.#free.findIndex(b => b.at > address)
    if (i < 0) i = this.#free.length
    this.#free.splice(i, 0, { at: address, size })
    this.#join(i)
    if (i > 0) this.#join(i - 1)
  }

  /** Bytes free inside the range as it is. */
  get unused(): number {
    return this.#free.reduce((sum, b) => sum + b.size, 0) + this.#end - this.#fresh
  }

  #join(i: number): void {
    const next = this.#free[i + 1]
    if (!next || this.#free[i].at + this.#free[i].size !== next.at) return
    this.#free[i].size += next.size
    this.#free.splice(i + 1, 1)
  }
}
