import type { Past, StateSpec, StateView, StepTokens } from '@attune/attention'
import { table, variable } from '@attune/expr'
import { capacity, copyOf, mapExpr, scatterRows, type Tensor } from '@attune/tensor'
import type { RowsLayout } from './manager.ts'

/** A layout's values in one step's graph. */
export interface LayoutOperands {
  readonly layout: RowsLayout
  /** Slot of each new token (N) i32 */
  readonly slots: Tensor
  /** Slots in use after the step (B) i32 */
  readonly lengths: Tensor
  /** Row of each slot (B, S) i32, already holding this step's rows; for layouts that remember rows. */
  readonly rows?: Tensor
}

/** Graph-building view of one layer's state buffers; `effects` collects their new versions. */
export function rowsView(
  spec: StateSpec,
  buffers: Readonly<Record<string, Tensor>>,
  tokens: StepTokens,
  operands: LayoutOperands,
  effects: Tensor[],
): StateView {
  return {
    append(values) {
      const parts: Record<string, Tensor> = {}
      const lengths: Record<string, Tensor> = {}
      const rows: Record<string, Tensor> = {}
      for (const [name, { heads, width }] of Object.entries(spec)) {
        const buffer = buffers[name] // (B, heads, S, width)
        const [b, , s] = buffer.shape
        const flat = buffer.reshape([(b as number) * heads * (s as number), width])
        const next = scatterRows(flat, appendIndex(tokens, operands, heads), values[name]) // rows (N, heads, width)
        effects.push(next)
        parts[name] = next.reshape(buffer.shape)
        lengths[name] = perHead(operands.lengths, heads)
        if (operands.rows) rows[name] = operands.rows.unsqueeze(1).expand([b, heads, s])
      }
      return { parts, lengths, rows: operands.rows && rows, tokens } satisfies Past
    },
  }
}

/** Remembers which row lies in each slot: scatters this step's rows into the (B, S) table. */
export function updateRows(buffer: Tensor, tokens: StepTokens, slots: Tensor, effects: Tensor[]): Tensor {
  const [b, s] = buffer.shape
  const index = mapExpr(variable('x0', 'i32').mul(capacity(s)).add(variable('x1', 'i32')), [tokens.batch, slots])
  const next = scatterRows(buffer.reshape([capacity(b) * capacity(s), 1]), index, tokens.row.unsqueeze(1))
  effects.push(next)
  return next.reshape([b, s])
}

const memo = new WeakMap<Tensor, Map<string, Tensor>>()
/** Equal for every part and layer with this layout and head count: built once per step's graph. */
function once(key: Tensor, name: string, make: () => Tensor): Tensor {
  const known = memo.get(key) ?? new Map<string, Tensor>()
  memo.set(key, known)
  if (!known.has(name)) known.set(name, make())
  return known.get(name)!
}

/** Flat buffer row of every (token, head): (N, heads) i32. */
const appendIndex = (tokens: StepTokens, { layout, slots }: LayoutOperands, heads: number): Tensor =>
  once(slots, `index${heads}`, () => {
    const [n, h] = [variable('i0', 'i32'), variable('i1', 'i32')]
    const read = (t: Tensor) => table(t, { dtype: 'i32', rank: 1 }).at(n)
    const at = read(tokens.batch).mul(heads).add(h).mul(layout.capacity).add(read(slots))
    return mapExpr(at, [], { dtype: 'i32', shape: [tokens.count, heads] })
  })

const perHead = (lengths: Tensor, heads: number): Tensor =>
  once(lengths, `lengths${heads}`, () => copyOf(lengths.unsqueeze(1).expand([lengths.shape[0], heads])))
