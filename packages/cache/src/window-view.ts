import { type Past, partsOf, type StateSpec, type StateView, type StepTokens } from '@attune/attention'
import { constant, type Expr, table, variable } from '@attune/expr'
import { AttuneError, capacity, fill, mapExpr, type Tensor } from '@attune/tensor'
import { borrowed, type Owned } from './borrow.ts'
import { ownRows } from './keeper.ts'
import { pooledPast } from './pools.ts'
import { appendRows, slotPast } from './slot-past.ts'

export interface WindowOptions {
  /** Most rows of one sequence; the tokens of the window by default. */
  readonly rows?: number
}

/**
 * The states of layers over whole sequences (rows from 0) with nothing kept for later: for encoders, training, calibration and tests,
 * where a step's sequences begin and end in it. `memory` are the parts of the memory axis per layer, (B, heads, M, width).
 */
export function windowStates(
  tokens: StepTokens,
  memory: readonly Readonly<Record<string, Tensor>>[] = [],
  { rows: most = capacity(tokens.count) }: WindowOptions = {},
) {
  const pasts: Owned[] = []
  const { batchRows } = tokens
  const offset = (i: Expr) => table(tokens.offsets, { dtype: 'i32', rank: 1 }).at(i)
  const b = variable('i0', 'i32')
  const lengths = mapExpr(offset(b.add(1)).sub(offset(b)), [], { dtype: 'i32', shape: [batchRows] })
  const own = { capacity: most, slots: tokens.row, lengths, find: (row: Expr) => row }
  return (layer: number, spec: StateSpec, params: unknown): StateView => {
    const zeros = (shape: readonly number[]) => fill(0, [batchRows, ...shape])
    return {
      tokens,
      append(values) {
        const parts = Object.fromEntries(
          ownRows(spec).map(([part, { heads, width }]) => {
            const buffer = zeros([heads, most, width])
            return [part, values[part] ? appendRows(buffer, values[part], tokens, own, []) : buffer]
          }),
        )
        const past = slotPast(parts, tokens, own)
        pasts[layer] = { past: borrowed(spec, pooled(spec, past, params), pasts) }
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
        const parts = memory[layer]
        if (!parts) throw new AttuneError('ERR_ARGUMENT', `layer ${layer} was given no memory`, { layer })
        const rows = capacity(Object.values(parts)[0].shape[2])
        return slotPast(parts, tokens, { ...own, capacity: rows, lengths: fill(rows, [batchRows], 'i32') })
      },
    }
  }
  function pooled(spec: StateSpec, past: Past, params: unknown): Past {
    if (partsOf(spec, 'pool').length === 0) return past
    if (batchRows > 1) throw new AttuneError('ERR_UNSUPPORTED', 'rows are pooled over a window of one sequence', { batchRows })
    return pooledPast(spec, past, most, offset(constant(1)), params)
  }
}
