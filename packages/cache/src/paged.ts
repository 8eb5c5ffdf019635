import { rulesOf, type StateKind } from '@attune/attention'
import { AttuneError, bytesOf } from '@attune/tensor'
import { EvictingKeeper } from './evicting-keeper.ts'
import { type LayerStates, ownRows } from './keeper.ts'
import { type CacheManager, type CacheSize, ORACLE } from './manager.ts'
import { roomy } from './page-pool.ts'
import { leastRows, PagedKeeper } from './paged-keeper.ts'
import type { Budget, EvictionPolicy } from './policy.ts'
import { type QuantisedOptions, quantised, quantisedSettings } from './quantised.ts'

/** Rows in pages of `page` slots, one key head each. Forks share pages until one of them writes. vLLM's PagedAttention: https://arxiv.org/abs/2309.06180 */
export const paged = ({ page = 16 }: { page?: number } = {}): CacheManager => ({
  name: 'paged',
  about: { title: 'Pages, shared by forks', paper: 'https://arxiv.org/abs/2309.06180', oracle: ORACLE },
  why: whyNotPaged,
  bytesFor: pagedBytes(checked(page)),
  open: options => new PagedKeeper(options, { page: checked(page) }),
})

export interface EvictingSettings {
  /** Slots in a page. */
  readonly page?: number
  /**
   * Packs rows that stay: once the prompt was read and the policy has chosen, and whenever a group more has come. Until then they are
   * held, observed and shared as they were given.
   */
  readonly packed?: QuantisedOptions
}

/**
 * A paged cache from which a policy evicts rows between steps; pages of evicted rows are freed, so bytes fall per key head. With `packed`
 * the rows that stay are then kept in few bits, and the policy acts once on a sequence.
 */
export const evicting = (policy: EvictionPolicy, budget: Budget, { page = 16, packed: pack }: EvictingSettings = {}): CacheManager => {
  const packed = pack && quantised(pack)
  const settings = pack && quantisedSettings(pack)
  return {
    name: ['paged', policy.name, ...(packed ? [packed.name] : [])].join(', '),
    settings: packed?.settings,
    about: policy.about,
    policy,
    why(kind, mask) {
      const never = kind.kind !== 'borrow' && rulesOf(kind).evict === 'never' && kind.kind === 'rows' && kind.axis === 'self'
      return never
        ? `rows that are ${kind.rewritten ? 'rewritten' : 'folded as they leave'} cannot be evicted`
        : (pooled(kind) ?? dropped(kind) ?? whyNotPaged(kind) ?? packed?.why(kind, mask))
    },
    // Until a prompt ends nothing is dropped.
    bytesFor: pagedBytes(checked(page), leastRows(settings)),
    open(options) {
      if (!(budget.rows > 0)) throw new AttuneError('ERR_ARGUMENT', `a budget of ${budget.rows} rows keeps nothing`, { budget })
      const { mass } = policy.observes
      if (typeof mass === 'number' && mass > options.chunk)
        throw new AttuneError(
          'ERR_ARGUMENT',
          `policy '${policy.name}' weighs by ${mass} queries, which one step of ${options.chunk} tokens cannot hold`,
          {
            mass,
            chunk: options.chunk,
          },
        )
      if (packed && typeof policy.after === 'number')
        throw new AttuneError(
          'ERR_UNSUPPORTED',
          `policy '${policy.name}' acts again every ${policy.after} rows, and packed rows cannot be weighed again`,
          { policy: policy.name, after: policy.after },
        )
      return new EvictingKeeper(options, { policy, budget, page: checked(page), packed: settings })
    },
  }
}

const pagedBytes =
  (page: number, least = 128) =>
  (layers: readonly LayerStates[], { kv, rows }: CacheSize): number =>
    layers.reduce((n, { spec }) => {
      const parts = ownRows(spec)
      if (parts.length === 0) return n
      const { heads } = parts[0][1]
      const pages = roomy(heads * rows.reduce((m, r) => m + Math.ceil(r / page), 0), heads * Math.ceil(least / page))
      return n + pages * page * parts.reduce((m, [, { width }]) => m + bytesOf(kv, width), 0)
    }, 0)

const pooled = (kind: StateKind): string | undefined =>
  kind.kind === 'pool' ? 'rows that are pooled stay, as their pool speaks of all of them' : undefined
const dropped = (kind: StateKind): string | undefined => {
  if (kind.kind !== 'rows' || kind.axis === 'memory') return undefined
  const reading = kind.reads.find(r => r !== 'whole' || kind.heads > 1)
  return reading && `rows of which each head drops its own are not read ${reading}`
}
const whyNotPaged = (kind: StateKind): string | undefined =>
  kind.kind === 'rows' && kind.axis === 'self' && kind.rewritten ? 'rewritten rows lie in one piece' : undefined

function checked(page: number): number {
  if (Number.isInteger(page) && page > 0 && (page & (page - 1)) === 0) return page
  throw new AttuneError('ERR_ARGUMENT', `a page holds ${page} slots; it must hold a power of two`, { page })
}
