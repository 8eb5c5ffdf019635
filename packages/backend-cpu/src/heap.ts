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

  /** The block's first `dirty` bytes were in use before. Undefined when the range cannot grow enough. */
  alloc(bytes: number): { address: number; dirty: number } | undefined {
    const size = Math.max(64, roundUp(bytes))
    let best = -1
    for (let i = 0; i < this.#free.length; i++) {
      const { size: have } = this.#free[i]
      if (have >= size && (best < 0 || have < this.#free[best].size)) best = i
    }
    if (best < 0) return this.#extend(size)
    const block = this.#free[best]
    const address = block.at
    block.at += size
    block.size -= size
    if (block.size === 0) this.#free.splice(best, 1)
    return { address, dirty: size }
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
    return this.reusable + this.#end - this.#fresh
  }
  /** Those that were in use before. */
  get reusable(): number {
    return this.#free.reduce((sum, b) => sum + b.size, 0)
  }

  /** A block that ends in fresh memory; it begins with the last free block where that one borders on it. */
  #extend(size: number): { address: number; dirty: number } | undefined {
    const last = this.#free.at(-1)
    const joined = last !== undefined && last.at + last.size === this.#fresh
    const address = joined ? last.at : this.#fresh
    const missing = address + size - this.#end
    if (missing > 0) {
      const end = this.grow(missing)
      if (end === undefined) return undefined
      this.#end = end
    }
    const dirty = this.#fresh - address
    if (joined) this.#free.pop()
    this.#fresh = address + size
    return { address, dirty }
  }
  #join(i: number): void {
    const next = this.#free[i + 1]
    if (!next || this.#free[i].at + this.#free[i].size !== next.at) return
    this.#free[i].size += next.size
    this.#free.splice(i + 1, 1)
  }
}
