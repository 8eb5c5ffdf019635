import { Arena, type Device, type Graph, type Recording, record } from '@attune/tensor'

/** Recorded graphs by name, over one arena: each is built once. */
export class Recordings {
  readonly #made = new Map<string, Promise<Recording>>()
  readonly #arena: Arena
  /** How many graphs were recorded. */
  count = 0
  constructor(
    readonly device: Device,
    /** Looks at every op's results. */
    readonly check = false,
  ) {
    this.#arena = new Arena(device)
  }
  get allocations(): number {
    return this.#arena.allocations
  }

  get(name: string, graph: () => Graph): Promise<Recording> {
    let r = this.#made.get(name)
    if (!r) {
      this.count++
      r = record(this.device, graph(), { arena: this.#arena, check: this.check })
      r.catch(() => this.#made.delete(name))
      this.#made.set(name, r)
    }
    return r
  }
  async dispose(): Promise<void> {
    for (const r of this.#made.values()) (await r).dispose()
    this.#made.clear()
    this.#arena.dispose()
  }
}
