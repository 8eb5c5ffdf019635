import { bucket, ORACLE } from './manager.ts'
import { type SlotManager, slotManager } from './slots.ts'

/** Every row stays: row r lies in slot r. Grows by doubling. */
export const contiguous = (): SlotManager =>
  slotManager({
    name: 'contiguous',
    about: { title: 'Every row in order', oracle: ORACLE },
    why: () => undefined,
    layout(_layer, rows) {
      const capacity = bucket(rows)
      return { key: `rows${capacity}`, capacity, slot: row => row, find: row => row, length: n => n, remembersRows: false }
    },
  })
