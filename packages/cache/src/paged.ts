import { rulesOf, type StateKind } from '@attune/attention'
import { AttuneError, bytesOf } from '@attune/tensor'
import { evict, observe, type Standing } from './evict.ts'
import { type LayerStates, ownRows } from './keeper.ts'
import { type CacheManager, type CacheSize, ORACLE } from './manager.ts'
import { roomy } from './page-pool.ts'
import { PagedKeeper } from './paged-keeper.ts'
import type { Budget, EvictionPolicy, Rehearsal } from './policy.ts'

/** Rows in pages of `page` slots, one key head each. Forks share pages until one of them writes. vLLM's PagedAttention: https://arxiv.org/abs/2309.06180 */
export const paged = ({ page = 16 }: { page?: number } = {}): CacheManager => ({
  name: 'paged',
  about: { title: 'Pages, shared by forks', paper: 'https://arxiv.org/abs/2309.06180', oracle: ORACLE },
  why: whyNotPaged,
  bytesFor: pagedBytes(checked(page)),
  open: options => new PagedKeeper(options, { page: checked(page) }),
})

/** A paged cache from which a policy evicts rows between steps; pages of evicted rows are freed, so bytes fall per key head. */
export const evicting = (policy: EvictionPolicy, budget: Budget, { page = 16 }: { page?: number } = {}): CacheManager => ({
  name: `paged, ${policy.name}`,
  about: policy.about,
  policy,
  why(kind) {
    const never = kind.kind !== 'borrow' && rulesOf(kind).evict === 'never' && kind.kind === 'rows' && kind.axis === 'self'
    return never
      ? `rows that are ${kind.rewritten ? 'rewritten' : 'folded as they leave'} cannot be evicted`
      : (pooled(kind) ?? whyNotPaged(kind))
  },
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
    const keeper = new PagedKeeper(options, { page: checked(page), policy })
    const acted = new Map<number, number>()
    return Object.assign(keeper, {
      close(row: number) {
        acted.delete(row)
        PagedKeeper.prototype.close.call(keeper, row)
      },
      rehearse: policy.rehearse && ((rehearsal: Rehearsal) => policy.rehearse!.run(rehearsal)),
      observe: (row: number, rows: number) => observe(keeper, policy.rehearse?.observes ?? policy.observes, row, rows),
      async settle(row: number, when: 'prefill' | 'step', standing: Standing) {
        const every = policy.after
        const due = when === 'prefill' || (typeof every === 'number' && acted.has(row) && standing.rows - acted.get(row)! >= every)
        if (!due) return undefined
        acted.set(row, standing.rows)
        return evict(keeper, policy, budget, row, standing)
      },
    })
  },
})

const pagedBytes =
  (page: number) =>
  (layers: readonly LayerStates[], { kv, rows }: CacheSize): number =>
    layers.reduce((n, { spec }) => {
      const parts = ownRows(spec)
      if (parts.length === 0) return n
      const { heads } = parts[0][1]
      const pages = roomy(heads * rows.reduce((m, r) => m + Math.ceil(r / page), 0), heads * Math.ceil(128 / page))
      return n + pages * page * parts.reduce((m, [, { width }]) => m + bytesOf(kv, width), 0)
    }, 0)

const pooled = (kind: StateKind): string | undefined =>
  kind.kind === 'pool' ? 'rows that are pooled stay, as their pool speaks of all of them' : undefined
const whyNotPaged = (kind: StateKind): string | undefined =>
  kind.kind === 'rows' && kind.axis === 'self' && kind.rewritten ? 'rewritten rows lie in one piece' : undefined

function checked(page: number): number {
  if (Number.isInteger(page) && page > 0 && (page & (page - 1)) === 0) return page
  throw new AttuneError('ERR_ARGUMENT', `a page holds ${page} slots; it must hold a power of two`, { page })
}
