import type { States } from '@attune/cache'
import { AttuneError } from '@attune/tensor'
import type { Sequence, StepWork } from './runner.ts'

/** Checks what a step is asked to do. Errors: `ERR_ARGUMENT`, `ERR_SHAPE`. */
export function checkStep(items: readonly StepWork[], sequences: ReadonlySet<Sequence>, vocab: number, memory: States['memory']): void {
  const seen = new Set<Sequence>()
  for (const { sequence, ids, positions } of items) {
    if (!sequences.has(sequence)) throw new AttuneError('ERR_ARGUMENT', 'the sequence is closed or belongs to another runner', {})
    if (seen.has(sequence)) throw new AttuneError('ERR_ARGUMENT', 'a sequence appears twice in one step', {})
    seen.add(sequence)
    if (memory.present && memory.length(sequence.row) === 0)
      throw new AttuneError('ERR_ARGUMENT', "the sequence has nothing to attend to yet: give it an encoder's output by `remember`", {})
    if (positions && positions.length !== ids.length)
      throw new AttuneError('ERR_SHAPE', `${ids.length} ids but ${positions.length} positions`, {})
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]
      if (!Number.isInteger(id) || id < -1 || id >= vocab)
        throw new AttuneError('ERR_ARGUMENT', `token id ${id} at ${i} is outside the vocabulary of ${vocab}`, { id, index: i, vocab })
    }
  }
}
