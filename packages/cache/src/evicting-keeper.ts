import { evict, observe, type Standing } from './evict.ts'
import type { Keeper, KeeperOptions } from './keeper.ts'
import { packRows } from './pack-rows.ts'
import { PagedKeeper } from './paged-keeper.ts'
import type { Budget, EvictionPolicy, Observed, Rehearsal } from './policy.ts'
import type { QuantisedSettings } from './quantised.ts'

export interface EvictingOptions {
  readonly policy: EvictionPolicy
  readonly budget: Budget
  /** Slots in a page. */
  readonly page: number
  /** How rows that stay are packed; absent: not at all. */
  readonly packed?: QuantisedSettings
}

/** Pages from which a policy evicts rows between steps; what stays may then be packed. */
export class EvictingKeeper extends PagedKeeper {
  /** Rows a sequence had when the policy acted on it last, and when its rows were last packed. */
  readonly #acted = new Map<number, number>()
  readonly #settled = new Map<number, number>()
  readonly rehearse: Keeper['rehearse']

  constructor(
    options: KeeperOptions,
    readonly evicting: EvictingOptions,
  ) {
    super(options, evicting)
    const { policy } = evicting
    this.rehearse = policy.rehearse && ((rehearsal: Rehearsal) => policy.rehearse!.run(rehearsal))
  }

  observe(row: number, rows: number): Promise<Observed> {
    const { policy } = this.evicting
    return observe(this, policy.rehearse?.observes ?? policy.observes, row, rows)
  }
  async settle(row: number, when: 'prefill' | 'step', standing: Standing): Promise<{ readonly position?: number } | undefined> {
    const moved = await this.#evict(row, when, standing)
    await this.#pack(row, when, { rows: standing.rows, position: moved?.position ?? standing.position })
    return moved
  }
  override async fork(from: number, to: number): Promise<void> {
    await super.fork(from, to)
    for (const when of [this.#acted, this.#settled]) if (when.has(from)) when.set(to, when.get(from)!)
  }
  override close(row: number): void {
    for (const when of [this.#acted, this.#settled]) when.delete(row)
    super.close(row)
  }

  async #evict(row: number, when: 'prefill' | 'step', standing: Standing) {
    const { policy, budget } = this.evicting
    const every = policy.after
    const due = when === 'prefill' || (typeof every === 'number' && this.#acted.has(row) && standing.rows - this.#acted.get(row)! >= every)
    // Packed rows are no longer there to be weighed one by one.
    if (!due || this.packed?.has(row)) return undefined
    this.#acted.set(row, standing.rows)
    return evict(this, policy, budget, row, standing)
  }
  async #pack(row: number, when: 'prefill' | 'step', standing: { readonly rows: number; readonly position: number }): Promise<void> {
    const { packed } = this.evicting
    if (!packed) return
    const last = this.#settled.get(row)
    if (when === 'step' && (last === undefined || standing.rows - last < packed.group)) return
    this.#settled.set(row, standing.rows)
    await packRows(this, packed, row, standing)
  }
}
