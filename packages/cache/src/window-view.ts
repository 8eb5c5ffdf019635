import type { StateSpec, StateView, StepTokens } from '@attune/attention'
import { table, type variable } from '@attune/expr'
import { AttuneError, capacity, fill, mapExpr, type Tensor } from '@attune/tensor'
import { borrowed, type Owned } from './borrow.ts'
import { ownRows } from './keeper.ts'
import { pooledPast } from './pools.ts'
import { appendRows, slotPast } from './slot-past.ts'

/**
 * The states of layers over one whole window of tokens (B = 1, rows from 0) with nothing kept for later: for training, calibration and
 * tests, where a step is a sequence of its own. `memory` are the parts of the memory axis per layer, (1, heads, M, width).
 */
export function windowStates(tokens: StepTokens, memory: readonly Readonly<Record<string, Tensor>>[] = []) {
  const pasts: Owned[] = []
  const slots = tokens.row
  const count = table(tokens.offsets, { dtype: 'i32', rank: 1 }).at(1)
  const lengths = mapExpr(count, [], { dtype: 'i32', shape: [1] })
  return (layer: number, spec: StateSpec, params: unknown): StateView => {
    const zeros = (shape: readonly number[]) => fill(0, [1, ...shape])
    return {
      tokens,
      append(values) {
        const parts = Object.fromEntries(
          ownRows(spec).map(([part, { heads, width }]) => {
            const buffer = zeros([heads, capacity(tokens.count), width])
            const own = { capacity: capacity(tokens.count), slots, lengths, find: (row: ReturnType<typeof variable>) => row }
            return [part, values[part] ? appendRows(buffer, values[part], tokens, own, []) : buffer]
          }),
        )
        const past = slotPast(parts, tokens, { capacity: capacity(tokens.count), slots, lengths, find: row => row })
        pasts[layer] = { past: borrowed(spec, pooledPast(spec, past, capacity(tokens.count), count, params), pasts) }
        return pasts[layer].past
      },
      read(name) {
        const kind = spec[name]
        if (kind?.kind === 'fold') return zeros(kind.shape)
        if (kind?.kind === 'tail') return zeros([kind.count, kind.width])
        throw new AttuneError('ERR_ARGUMENT', `layer ${layer} has no state '${name}' that is a fold or a tail`, { layer, name })
      },
      write() {},
      memory() {
        const own = memory[layer]
        if (!own) throw new AttuneError('ERR_ARGUMENT', `layer ${layer} was given no memory`, { layer })
        const rows = capacity(Object.values(own)[0].shape[2])
        return slotPast(own, tokens, { capacity: rows, slots, lengths: fill(rows, [1], 'i32'), find: row => row })
      },
    }
  }
}
