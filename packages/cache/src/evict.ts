import { AttuneError } from '@attune/tensor'
import { moveRows } from './move-rows.ts'
import { headsNow } from './page-tables.ts'
import type { PagedKeeper } from './paged-keeper.ts'
import type { Budget, EvictionPolicy, Kept, Observed, ObservedLayer, Observes } from './policy.ts'
import { storedRows } from './row-bytes.ts'
import { partName } from './slot-keeper.ts'

/** Where a sequence stands between two steps. */
export interface Standing {
  /** Rows it has had so far. */
  readonly rows: number
  /** Position of its next token. */
  readonly position: number
  /** What the policy's rehearsal gave. */
  readonly rehearsed?: unknown
}

/** Lets a policy choose what stays of one sequence, and frees the pages of the rest. Returns the next position where positions moved. */
export async function evict(
  keeper: PagedKeeper,
  policy: EvictionPolicy,
  budget: Budget,
  row: number,
  standing: Standing,
): Promise<{ readonly position?: number }> {
  const observed = await observe(keeper, policy.observes, row, standing.rows)
  const kept = policy.plan(observed, budget, standing.rehearsed)
  check(policy, observed, kept)
  const { rerotate = false } = policy
  let position: number | undefined
  for (const [i, pool] of keeper.pools.entries()) {
    if (!pool) continue
    const { lengths } = headsNow(pool.tables, row, standing.rows)
    const slots = lengths.map((n, h) => kept[i]?.[h] ?? Int32Array.from({ length: n }, (_, s) => s))
    if (slots.every((s, h) => s.length === lengths[h])) continue
    const mass = policy.observes.mass === 'all' ? await keeper.observed!.mass(i, row) : undefined
    await moveRows(pool, keeper.options.layers[i], keeper.options.kv, i, row, { ...standing, slots, rerotate })
    if (mass) await keeper.observed!.setMass(i, row, compacted(mass, slots, keeper.observed!.capacity))
    if (rerotate) position = Math.max(position ?? 0, ...slots.map(s => s.length))
  }
  await keeper.writeKept(row)
  return { position }
}

/** What a policy wants to see of a batch row. */
export async function observe(keeper: PagedKeeper, wanted: Observes, row: number, rows: number): Promise<Observed> {
  const layers: ObservedLayer[] = []
  for (const [i, pool] of keeper.pools.entries()) {
    if (!pool) {
      // It borrows what it reads: its weights are among the owner's.
      layers.push({
        heads: 0,
        rows: [],
        mass: wanted.mass ? [] : undefined,
        parts: Object.fromEntries((wanted.parts ?? []).map(name => [name, []])),
      })
      continue
    }
    const { lengths, rowsOf } = headsNow(pool.tables, row, rows)
    const { capacity } = keeper.observed!
    const mass = wanted.mass ? await keeper.observed!.mass(i, row) : undefined
    const parts: Record<string, readonly Float32Array[]> = {}
    for (const name of wanted.parts ?? []) {
      const kind = keeper.options.layers[i].spec[name]
      if (kind?.kind === 'rows') parts[name] = await storedRows(pool, partName(name, i), keeper.options.kv, row, lengths)
    }
    layers.push({
      heads: pool.tables.heads,
      rows: rowsOf,
      mass: mass && lengths.map((n, h) => mass.slice(h * capacity, h * capacity + n)),
      queries: await keeper.observed!.lastQueries(i, row, rows, wanted.queries ?? 0),
      parts,
    })
  }
  return { rows, layers }
}

function compacted(mass: Float32Array, slots: readonly Int32Array[], capacity: number): Float32Array {
  const out = new Float32Array(mass.length)
  for (const [h, list] of slots.entries()) for (const [i, s] of list.entries()) out[h * capacity + i] = mass[h * capacity + s]
  return out
}

function check({ name, rerotate }: EvictionPolicy, { layers }: Observed, kept: Kept): void {
  const wrong = (what: string, data: Record<string, unknown>): never => {
    throw new AttuneError('ERR_ARGUMENT', `policy '${name}': ${what}`, data)
  }
  for (const [layer, heads] of kept.entries()) {
    if (!heads) continue
    const counts = new Set<number>()
    for (const [head, slots] of heads.entries()) {
      if (!slots) continue
      const length = layers[layer]?.rows[head]?.length
      if (length === undefined) return wrong(`layer ${layer} has no key head ${head}`, { layer, head })
      if (slots.length === 0) wrong(`head ${head} of layer ${layer} keeps nothing`, { layer, head })
      counts.add(slots.length)
      const bad = slots.findIndex((s, i) => s < 0 || s >= length || (i > 0 && s <= slots[i - 1]))
      if (bad >= 0)
        wrong(`slots of layer ${layer}, head ${head} must ascend below ${length}; entry ${bad} is ${slots[bad]}`, {
          layer,
          head,
          slot: slots[bad],
        })
    }
    if (rerotate && counts.size > 1) wrong(`heads of layer ${layer} keep unlike numbers of rows, which cannot share positions`, { layer })
  }
}
