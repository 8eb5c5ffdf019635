import type { Past, StepTokens } from '@attune/attention'
import { type Expr, table, variable } from '@attune/expr'
import { copyOf, type Dim, gatherRows, mapExpr, scatterRows, type Tensor } from '@attune/tensor'

/** Rows of one layer that lie in slots the same for all its heads. */
export interface SlotRows {
  /** Slots per (batch row, head). */
  readonly capacity: number
  /** Slot of each new token (N) i32 */
  readonly slots: Tensor
  /** Slots in use after the step (B) i32 */
  readonly lengths: Tensor
  /** Row of each slot (B, S) i32, already holding this step's; absent where the slot is the row. */
  readonly rows?: Tensor
  /** Position of each slot (B, S) i32, already holding this step's. */
  readonly positions?: Tensor
  /** Slot of a row. */
  find(row: Expr): Expr
}

/** Scatters rows (N, heads, width) into a part's buffer (B, heads, S, width); returns its new version. */
export function appendRows(buffer: Tensor, values: Tensor, tokens: StepTokens, { capacity, slots }: SlotRows, effects: Tensor[]): Tensor {
  const [b, heads, s, width] = buffer.shape as readonly number[]
  const index = once(slots, `index${heads}`, () => {
    const [n, h] = [variable('i0', 'i32'), variable('i1', 'i32')]
    const at = vector(tokens.batch, n).mul(heads).add(h).mul(capacity).add(vector(slots, n))
    return mapExpr(at, [], { dtype: 'i32', shape: [tokens.count, heads] })
  })
  const next = scatterRows(buffer.reshape([b * heads * s, width]), index, values)
  effects.push(next)
  return next.reshape(buffer.shape)
}

/** Scatters a number per token into a (B, S) table. */
export function appendNumbers(buffer: Tensor, values: Tensor, tokens: StepTokens, slots: Tensor, effects: Tensor[]): Tensor {
  const [b, s] = buffer.shape as readonly number[]
  const index = once(slots, 'index', () => mapExpr(variable('x0', 'i32').mul(s).add(variable('x1', 'i32')), [tokens.batch, slots]))
  const next = scatterRows(buffer.reshape([b * s, 1]), index, values.unsqueeze(1))
  effects.push(next)
  return next.reshape([b, s])
}

/** What attention sees of parts (B, heads, S, width) that lie in such slots. */
export function slotPast(parts: Readonly<Record<string, Tensor>>, tokens: StepTokens, own: SlotRows): Past {
  const perPart = (make: (heads: number, part: Tensor) => Tensor) =>
    Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, make(part.shape[1] as number, part)]))
  const spread = (t: Tensor | undefined) => t && perPart((heads, part) => t.unsqueeze(1).expand([part.shape[0], heads, part.shape[2]]))
  return {
    parts,
    lengths: perPart(heads =>
      once(own.lengths, `lengths${heads}`, () => copyOf(own.lengths.unsqueeze(1).expand([own.lengths.shape[0], heads]))),
    ),
    rows: spread(own.rows),
    positions: spread(own.positions),
    tokens,
    at: (name, batch, row) => rowsAt(parts[name], batch, row, own.find),
    dense: name => usedOnly(parts[name], own.lengths),
  }
}

/** Rows by number: batch (…I), row (…I) i32 → (…I, heads, width); a row below 0 gives zeros. */
function rowsAt(part: Tensor, batch: Tensor, row: Tensor, find: (row: Expr) => Expr): Tensor {
  const [b, heads, s, width] = part.shape as readonly number[]
  const rank = batch.rank
  const [x0, x1, h] = [variable('x0', 'i32'), variable('x1', 'i32'), variable(`i${rank}`, 'i32')]
  const at = x0
    .mul(heads)
    .add(h)
    .mul(s)
    .add(find(x1.max(0)))
  const index = mapExpr(x1.lt(0).select(-1, at), [batch.unsqueeze(rank), row.unsqueeze(rank)], {
    dtype: 'i32',
    shape: [...row.shape, heads],
  })
  return gatherRows(part.reshape([b * heads * s, width]), index)
}

/** Zeros where nothing is stored: what lies there may not be a number. */
function usedOnly(part: Tensor, lengths: Tensor): Tensor {
  const used = variable('i2', 'i32').lt(vector(lengths, variable('i0', 'i32')))
  return mapExpr(used.select(variable('x0', 'f32'), 0), [part], { dtype: 'f32' })
}

export const vector = (t: Tensor, i: Expr): Expr => table(t, { dtype: 'i32', rank: 1 }).at(i)
export const batchIndex = (tokens: StepTokens, shape: readonly Dim[] = [tokens.batchRows]): Tensor =>
  once(tokens.offsets, `active${shape.length}`, () => {
    const b = variable('i0', 'i32')
    const has = vector(tokens.offsets, b.add(1)).gt(vector(tokens.offsets, b))
    return mapExpr(has.select(b, -1), [], { dtype: 'i32', shape })
  })

const memo = new WeakMap<Tensor, Map<string, Tensor>>()
/** Equal for every part and layer that share `key`: built once per step's graph. */
export function once(key: Tensor, name: string, make: () => Tensor): Tensor {
  const known = memo.get(key) ?? new Map<string, Tensor>()
  memo.set(key, known)
  if (!known.has(name)) known.set(name, make())
  return known.get(name)!
}
