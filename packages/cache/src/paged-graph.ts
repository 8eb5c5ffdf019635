import type { Observer, Past, StepTokens } from '@attune/attention'
import { type Expr, table, variable } from '@attune/expr'
import { type Dim, gatherRows, mapExpr, type Tensor } from '@attune/tensor'

/** One layer's pages in one step's graph. */
export interface PagedRows {
  /** Slots in a page. */
  readonly size: number
  /** Slots a head may have. */
  readonly capacity: number
  /** Page table (B, heads, capacity / size) i32 */
  readonly pages: Tensor
  /** Slots in use after the step (B, heads) i32 */
  readonly lengths: Tensor
  /** Rows of each sequence after the step (B) i32 */
  readonly after: Tensor
  /** Row of each slot (B, heads, capacity) i32, where some were evicted. */
  readonly rows?: Tensor
  readonly observing?: Observer
}

/** Slot of each new token (N, heads), as an index into pool rows. */
export function newSlots(tokens: StepTokens, own: PagedRows): Tensor {
  const [n, h] = [variable('i0', 'i32'), variable('i1', 'i32')]
  const b = at1(tokens.batch, n)
  const slot = at2(own.lengths, b, h).sub(at1(own.after, b)).add(at1(tokens.row, n))
  return mapExpr(physical(own, b, h, slot), [], { dtype: 'i32', shape: [tokens.count, own.lengths.shape[1]] })
}

/** What attention sees of pools of rows (pages · size, width). */
export function pagedPast(pools: Readonly<Record<string, Tensor>>, pageCount: Dim, tokens: StepTokens, own: PagedRows): Past {
  const { size, pages, lengths, rows, observing } = own
  const perPart = <T>(make: (pool: Tensor) => T) => Object.fromEntries(Object.entries(pools).map(([name, pool]) => [name, make(pool)]))
  return {
    tokens,
    observing,
    parts: perPart(pool => {
      const width = pool.shape[1] as number
      return pool.view([pageCount, 1, size, width], [size * width, size * width, width, 1])
    }),
    lengths: perPart(() => lengths),
    rows: rows && perPart(() => rows),
    pages: { size, tables: perPart(() => pages) },
    at: (part, batch, row) => rowsByNumber(pools[part], batch, row, own),
    dense: part => everySlot(pools[part], own),
  }
}

function rowsByNumber(pool: Tensor, batch: Tensor, row: Tensor, own: PagedRows): Tensor {
  const rank = batch.rank
  const [b, r, h] = [variable('x0', 'i32'), variable('x1', 'i32'), variable(`i${rank}`, 'i32')]
  const index = mapExpr(r.lt(0).select(-1, physical(own, b, h, r.max(0))), [batch.unsqueeze(rank), row.unsqueeze(rank)], {
    dtype: 'i32',
    shape: [...row.shape, own.lengths.shape[1]],
  })
  return gatherRows(pool, index)
}

/** All slots in order (B, heads, capacity, width); zeros beyond the lengths. */
function everySlot(pool: Tensor, own: PagedRows): Tensor {
  const [b, h, s] = ['i0', 'i1', 'i2'].map(name => variable(name, 'i32'))
  const [batch, heads] = own.lengths.shape
  const index = mapExpr(s.lt(at2(own.lengths, b, h)).select(physical(own, b, h, s), -1), [], {
    dtype: 'i32',
    shape: [batch, heads, own.capacity],
  })
  return gatherRows(pool, index)
}

/** Row in a pool of slot `s` of head `h` of batch row `b`. */
const physical = ({ pages, size }: PagedRows, b: Expr, h: Expr, s: Expr): Expr => {
  const slot = s.max(0)
  return table(pages, { dtype: 'i32', rank: 3 }).at(b, h, slot.idiv(size)).mul(size).add(slot.mod(size))
}
const at1 = (t: Tensor, i: Expr): Expr => table(t, { dtype: 'i32', rank: 1 }).at(i)
const at2 = (t: Tensor, i: Expr, j: Expr): Expr => table(t, { dtype: 'i32', rank: 2 }).at(i, j)

/** Row of each slot: kept ones by the table `kept` (B, heads, S), later ones counting up to `after`. */
export function rowsOfSlots(kept: Tensor, counts: Tensor, own: PagedRows): Tensor {
  const [b, h, s] = ['i0', 'i1', 'i2'].map(name => variable(name, 'i32'))
  const later = at1(own.after, b)
    .sub(at2(own.lengths, b, h))
    .add(s)
  const row = s.lt(at2(counts, b, h)).select(table(kept, { dtype: 'i32', rank: 3 }).at(b, h, s), later)
  return mapExpr(row, [], { dtype: 'i32', shape: kept.shape })
}
