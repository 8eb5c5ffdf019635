import { bucket, type CacheManager } from './manager.ts'

/** Every row stays: row r lies in slot r. Grows by doubling. */
export const contiguous = (): CacheManager => ({
  name: 'contiguous',
  why: () => undefined,
  layout(_mask, rows) {
    const capacity = bucket(rows)
    return { key: `rows${capacity}`, capacity, slot: row => row, length: n => n, remembersRows: false }
  },
})
