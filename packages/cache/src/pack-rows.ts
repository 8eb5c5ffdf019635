import { ownRows } from './keeper.ts'
import { moveRows } from './move-rows.ts'
import type { TakenRows } from './packed-rows.ts'
import { headsNow } from './page-tables.ts'
import type { PagedKeeper } from './paged-keeper.ts'
import type { QuantisedSettings } from './quantised.ts'
import { storedRows } from './row-bytes.ts'
import { partName } from './slot-keeper.ts'

/**
 * Packs what a sequence keeps: of each head, whole groups of the rows between its first and its latest ones. The rest stays as it is, in
 * fewer pages.
 */
export async function packRows(
  keeper: PagedKeeper,
  settings: QuantisedSettings,
  row: number,
  standing: { readonly rows: number; readonly position: number },
): Promise<void> {
  const { kv, layers } = keeper.options
  const taken: (TakenRows | undefined)[] = []
  for (const [i, pool] of keeper.pools.entries()) {
    if (!pool) continue
    const { lengths, rowsOf } = headsNow(pool.tables, row, standing.rows)
    const picks = rowsOf.map(rows => wholeGroups(rows, standing.rows, settings))
    if (picks.every(({ from, to }) => from === to)) continue
    const parts: Record<string, Float32Array[]> = {}
    for (const [name, { width }] of ownRows(layers[i].spec)) {
      const stored = await storedRows(pool, partName(name, i), kv, row, lengths)
      parts[name] = stored.map((x, h) => x.slice(picks[h].from * width, picks[h].to * width))
    }
    taken[i] = { rows: picks.map(({ from, to }, h) => rowsOf[h].slice(from, to)), parts }
    const slots = picks.map(({ from, to }, h) =>
      Int32Array.from({ length: lengths[h] - (to - from) }, (_, s) => (s < from ? s : s + to - from)),
    )
    await moveRows(pool, layers[i], kv, i, row, { ...standing, slots, rerotate: false })
  }
  if (taken.length === 0) return
  await keeper.packed!.pack(row, taken)
  await keeper.writeKept(row)
}

/** Slots [from, to) of whole groups between the first and the latest rows of a sequence that has had `total`; `rows` are those of the slots, ascending. */
function wholeGroups(rows: Int32Array, total: number, { sinks, recent, group }: QuantisedSettings): { from: number; to: number } {
  let from = 0
  while (from < rows.length && rows[from] < sinks) from++
  let end = rows.length
  while (end > from && rows[end - 1] >= total - recent) end--
  return { from, to: from + Math.floor((end - from) / group) * group }
}
