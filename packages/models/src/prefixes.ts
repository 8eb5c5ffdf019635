import { PrefixTree, type Sharing, type States } from '@attune/cache'
import { frequenciesVary, ropeEdge } from '@attune/position'
import { AttuneError } from '@attune/tensor'
import type { Model } from './model.ts'
import type { Sequence } from './runner.ts'

/** Why sequences of this model in this cache cannot share what they begin with, or undefined. */
function whyNoPrefixes({ spec }: Model, states: States): string | undefined {
  const varying = spec.layers.findIndex(
    ({ attention: { position: p } }) => p.kind === 'rope' && (frequenciesVary(p) || ropeEdge(p) !== undefined),
  )
  if (varying >= 0) return `layer ${varying} turns its keys by how long a sequence will be`
  if (states.memory.present) return 'what follows a beginning depends on the memory beside it'
  return states.sharing ? undefined : 'its cache or a kind of its states cannot be shared'
}

/** A place for `budget` bytes of beginnings. Errors: `ERR_UNSUPPORTED` where sequences cannot share what they begin with. */
export function prefixesOf(model: Model, states: States, budget: number, cache: string): Prefixes {
  const why = whyNoPrefixes(model, states)
  if (why) throw new AttuneError('ERR_UNSUPPORTED', `sequences cannot share beginnings: ${why}`, { cache })
  return new Prefixes(states, budget)
}

/** What sequences of one runner began with, kept for later ones that begin alike. */
export class Prefixes {
  readonly #tree: PrefixTree<number>
  readonly #sharing: Sharing
  #next = -1

  constructor(
    readonly states: States,
    budget: number,
  ) {
    this.#sharing = states.sharing!
    this.#tree = new PrefixTree(this.#sharing.every, budget, holder => states.release(holder))
  }
  get bytes(): number {
    return this.#tree.bytes
  }
  /** How many of a sequence's first `rows` rows can be shared, the queries that a policy wants to see left out. */
  shareable(rows: number): number {
    const { observes } = this.states.rows
    return Math.floor(Math.max(0, rows - (typeof observes === 'number' ? observes : 0)) / this.every) * this.every
  }
  get every(): number {
    return this.#sharing.every
  }

  /** The longest known beginning that leaves at least one token to feed. */
  find(ids: ArrayLike<number>): { readonly length: number; readonly value: number } | undefined {
    return this.#tree.find(ids, ids.length - 1)
  }
  /** Keeps what a sequence of the tokens `ids` has so far, in whole blocks. Returns how many rows are kept of it now. */
  async keep({ row, rows, position }: Sequence, ids: ArrayLike<number>): Promise<number> {
    const { every, bytes, whole } = this.#sharing
    const last = Math.floor(Math.min(rows, ids.length) / every) * every
    if (position !== rows || last === 0 || (whole && last !== rows)) return 0
    const missing = this.#tree.missing(ids, last).filter(n => !whole || n === last)
    for (const length of missing) {
      const before = whole ? (this.#tree.find(ids, length - 1)?.length ?? 0) : length - every
      const holder = this.#next--
      const own = await this.states.hold(row, holder, length)
      if (own === undefined) return length - every
      this.#tree.insert(ids, length, holder, ((length - before) / every) * bytes + own)
    }
    return last
  }
  clear(): void {
    this.#tree.clear()
  }
}
