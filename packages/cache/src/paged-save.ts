import { AttuneError } from '@attune/tensor'
import type { PagePool } from './page-pool.ts'
import { headBytes } from './row-bytes.ts'

type Pools = readonly (PagePool | undefined)[]

/** Bytes of each part of a sequence in pages: `rows` rows of each head, in order. */
export const savedPages = (pools: Pools, rows: number): Record<string, number> =>
  Object.fromEntries(
    pools.flatMap(pool => Object.entries(pool?.rowBytes ?? {}).map(([name, bytes]) => [name, pool!.tables.heads * rows * bytes])),
  )

export async function savePages(pools: Pools, row: number, rows: number): Promise<Record<string, Uint8Array>> {
  const out: Record<string, Uint8Array> = {}
  for (const pool of pools) {
    if (!pool) continue
    if (pool.tables.of(row).some(head => head.kept))
      throw new AttuneError('ERR_UNSUPPORTED', 'a sequence from which rows were evicted cannot be saved', { row })
    const lengths = new Array<number>(pool.tables.heads).fill(rows)
    for (const [name, bytes] of Object.entries(pool.rowBytes)) {
      out[name] = new Uint8Array(pool.tables.heads * rows * bytes)
      for (const [h, head] of (await headBytes(pool, name, row, lengths)).entries()) out[name].set(head, h * rows * bytes)
    }
  }
  return out
}

/** The way back into a row that has its pages. */
export async function loadPages(pools: Pools, row: number, saved: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const pool of pools)
    for (const [name, buffer] of Object.entries(pool?.buffers() ?? {})) {
      const heads = pool!.tables.of(row)
      const each = saved[name].byteLength / heads.length
      const size = pool!.pageBytes(name)
      for (const [h, { pages }] of heads.entries())
        for (const [i, page] of pages.entries()) {
          const rows = saved[name].subarray(h * each + i * size, h * each + Math.min(each, (i + 1) * size))
          if (rows.length > 0) await pool!.device.write(buffer, rows, page * size)
        }
    }
}
