import { type SlotManager, slotManager } from '@attune/cache'
import { table } from '@attune/expr'
import { tensor } from '@attune/tensor'
import { randomSource } from './random.ts'

/** Rows that a shuffled manager permutes among each other: feed it whole blocks, so that no slot in use is still empty. */
export const SHUFFLE_BLOCK = 16

/** The same manager with its slots permuted at random inside blocks: masks and results must not change, for slots mean nothing. */
export function shuffled(manager: SlotManager, seed = 1): SlotManager {
  return slotManager({
    about: manager.about,
    why: manager.why,
    name: `${manager.name}, shuffled`,
    layout(layer, rows, chunk) {
      const inner = manager.layout(layer, rows, chunk)
      const order = Array.from({ length: Math.ceil(inner.capacity / SHUFFLE_BLOCK) * SHUFFLE_BLOCK }, (_, slot) => permute(slot, seed))
      const slots = table(tensor(order, [order.length], 'i32'), { dtype: 'i32', rank: 1 })
      return {
        ...inner,
        key: `${inner.key}~${seed}`,
        remembersRows: true,
        slot: row => permute(inner.slot(row), seed),
        find: row => slots.at(inner.find(row)),
      }
    },
  })
}

function permute(slot: number, seed: number): number {
  const block = Math.floor(slot / SHUFFLE_BLOCK)
  const random = randomSource(seed * 7919 + block)
  const order = Array.from({ length: SHUFFLE_BLOCK }, (_, i) => i)
  for (let i = SHUFFLE_BLOCK - 1; i > 0; i--) {
    const j = random.integer(i + 1)
    ;[order[i], order[j]] = [order[j], order[i]]
  }
  return block * SHUFFLE_BLOCK + order[slot % SHUFFLE_BLOCK]
}
