import type { States } from '@attune/cache'
import { AttuneError } from '@attune/tensor'
import { positionLimit } from './embed.ts'
import type { Sequence, StepWork } from './runner.ts'
import type { DecoderSpec } from './spec.ts'
import { maximum } from './step-inputs.ts'

/** Checks what a step is asked to do. Errors: `ERR_ARGUMENT`, `ERR_SHAPE`. */
export function checkStep(
  items: readonly StepWork[],
  sequences: ReadonlySet<Sequence>,
  { vocab, embed }: DecoderSpec,
  memory: States['memory'],
): void {
  const limit = positionLimit(embed)
  const seen = new Set<Sequence>()
  for (const { sequence, ids, positions } of items) {
    if (!sequences.has(sequence)) throw new AttuneError('ERR_ARGUMENT', 'the sequence is closed or belongs to another runner', {})
    if (seen.has(sequence)) throw new AttuneError('ERR_ARGUMENT', 'a sequence appears twice in one step', {})
    seen.add(sequence)
    if (memory.present && memory.length(sequence.row) === 0)
      throw new AttuneError('ERR_ARGUMENT', "the sequence has nothing to attend to yet: give it an encoder's output by `remember`", {})
    if (positions && positions.length !== ids.length)
      throw new AttuneError('ERR_SHAPE', `${ids.length} ids but ${positions.length} positions`, {})
    const far = ids.length === 0 ? 0 : positions ? maximum(positions) : sequence.position + ids.length - 1
    if (far >= limit)
      throw new AttuneError('ERR_ARGUMENT', `position ${far} is beyond the model's table of ${limit} learned positions`, {
        position: far,
        limit,
      })
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]
      if (!Number.isInteger(id) || id < -1 || id >= vocab)
        throw new AttuneError('ERR_ARGUMENT', `token id ${id} at ${i} is outside the vocabulary of ${vocab}`, { id, index: i, vocab })
    }
  }
}
