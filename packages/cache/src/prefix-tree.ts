/** Something kept for the tokens from the root to a node. */
interface Node<T> {
  readonly key: string
  readonly parent?: Node<T>
  readonly children: Map<string, Node<T>>
  /** Tokens from the root. */
  readonly length: number
  value?: T
  bytes: number
  used: number
}

/** What is kept of token sequences, by their first tokens in blocks of `every`; the least recently used goes first when `budget` bytes are exceeded. */
export class PrefixTree<T> {
  readonly #root: Node<T> = { key: '', children: new Map(), length: 0, bytes: 0, used: 0 }
  #clock = 0
  #bytes = 0

  constructor(
    readonly every: number,
    readonly budget: number,
    readonly release: (value: T) => void,
  ) {}

  get bytes(): number {
    return this.#bytes
  }
  /** The longest kept beginning of `ids` that is at most `most` tokens long. */
  find(ids: ArrayLike<number>, most: number): { readonly length: number; readonly value: T } | undefined {
    let best: Node<T> | undefined
    for (const node of this.#path(ids, most)) {
      node.used = ++this.#clock
      if (node.value !== undefined) best = node
    }
    return best && { length: best.length, value: best.value! }
  }
  /** Lengths of beginnings of `ids`, up to `most` tokens, that nothing is kept for. */
  missing(ids: ArrayLike<number>, most: number): number[] {
    const kept = new Set(this.#path(ids, most).flatMap(n => (n.value === undefined ? [] : [n.length])))
    return Array.from({ length: Math.floor(most / this.every) }, (_, i) => (i + 1) * this.every).filter(n => !kept.has(n))
  }
  /** Keeps a value for the first `length` tokens, a whole number of blocks, nothing of which may be kept yet. */
  insert(ids: ArrayLike<number>, length: number, value: T, bytes: number): void {
    let node = this.#root
    for (let at = 0; at < length; at += this.every) {
      const key = blockKey(ids, at, this.every)
      let next = node.children.get(key)
      if (!next) node.children.set(key, (next = { key, parent: node, children: new Map(), length: at + this.every, bytes: 0, used: 0 }))
      next.used = ++this.#clock
      node = next
    }
    node.value = value
    node.bytes = bytes
    this.#bytes += bytes
    while (this.#bytes > this.budget) this.#dropOldest()
  }
  clear(): void {
    while (this.#root.children.size > 0) this.#dropOldest()
  }

  #path(ids: ArrayLike<number>, most: number): Node<T>[] {
    const out: Node<T>[] = []
    let node: Node<T> | undefined = this.#root
    for (let at = 0; at + this.every <= Math.min(most, ids.length); at += this.every) {
      node = node.children.get(blockKey(ids, at, this.every))
      if (!node) break
      out.push(node)
    }
    return out
  }
  /** A leaf goes before what it continues. */
  #dropOldest(): void {
    let oldest: Node<T> | undefined
    const stack = [...this.#root.children.values()]
    for (let node = stack.pop(); node; node = stack.pop()) {
      if (node.children.size === 0 && (!oldest || node.used < oldest.used)) oldest = node
      stack.push(...node.children.values())
    }
    if (!oldest) return
    if (oldest.value !== undefined) this.release(oldest.value)
    this.#bytes -= oldest.bytes
    oldest.parent!.children.delete(oldest.key)
  }
}

const blockKey = (ids: ArrayLike<number>, at: number, count: number): string =>
  Array.from({ length: count }, (_, i) => ids[at + i]).join(' ')
