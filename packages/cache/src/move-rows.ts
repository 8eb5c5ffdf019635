import { AttuneError, type Storage } from '@attune/tensor'
import type { Standing } from './evict.ts'
import { type LayerStates, ownRows } from './keeper.ts'
import type { PagePool } from './page-pool.ts'
import { headsNow } from './page-tables.ts'
import { decodeRows, encodeRows, headBytes, putRows } from './row-bytes.ts'
import { partName } from './slot-keeper.ts'

/** Moves the slots that stay of one layer to fresh pages, frees the old ones and makes the pool smaller. */
export async function moveRows(
  pool: PagePool,
  { spec, rotary }: LayerStates,
  kv: Storage,
  layer: number,
  row: number,
  { rows, position, slots, rerotate }: Standing & { readonly slots: readonly Int32Array[]; readonly rerotate: boolean },
): Promise<void> {
  const { lengths, rowsOf, positionsOf } = headsNow(pool.tables, row, rows, position)
  const saved = new Map<string, Uint8Array[]>()
  for (const [name, kind] of ownRows(spec)) {
    const buffer = partName(name, layer)
    const all = await headBytes(pool, buffer, row, lengths)
    saved.set(
      buffer,
      all.map((bytes, h) => {
        const own = pick(bytes, slots[h], pool.rowBytes[buffer])
        if (!rerotate || !kind.rotary) return own
        if (!rotary)
          throw new AttuneError('ERR_UNSUPPORTED', `layer ${layer}: keys that do not turn with rotary positions cannot be turned anew`, {
            layer,
          })
        const numbers = decodeRows(own, kv)
        for (const [i, s] of slots[h].entries()) turn(numbers, i * kind.width + kind.rotary.at, i - positionsOf[h][s], rotary)
        return encodeRows(numbers, kv)
      }),
    )
  }
  for (const [h, own] of slots.entries()) {
    const kept = own.map(s => rowsOf[h][s])
    const old = pool.tables.of(row)[h].positions
    const positions = rerotate ? Int32Array.from(own, (_, i) => i) : old && own.map(s => positionsOf[h][s])
    pool.tables.evict(row, h, kept, positions, rows)
  }
  await pool.shrink((buffer, bytes) => {
    for (const [h, data] of saved.get(buffer)!.entries()) putRows(pool, buffer, bytes, pool.tables.of(row)[h].pages, data)
  })
}

function pick(bytes: Uint8Array, slots: Int32Array, size: number): Uint8Array {
  const out = new Uint8Array(slots.length * size)
  for (const [i, s] of slots.entries()) out.set(bytes.subarray(s * size, (s + 1) * size), i * size)
  return out
}

/** Turns the pairs that begin at `at` by `by` positions. */
function turn(x: Float32Array, at: number, by: number, { pairing, frequencies }: NonNullable<LayerStates['rotary']>): void {
  const n = frequencies.length
  for (const [i, w] of frequencies.entries()) {
    const [a, b] = pairing === 'half' ? [at + i, at + n + i] : [at + 2 * i, at + 2 * i + 1]
    const [sine, cosine] = [Math.sin(by * w), Math.cos(by * w)]
    const [p, q] = [x[a], x[b]]
    x[a] = p * cosine - q * sine
    x[b] = q * cosine + p * sine
  }
}
