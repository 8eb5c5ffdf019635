import type { Past } from '@attune/attention'
import { type Expr, substitute, table, variable } from '@attune/expr'
import { mapExpr, mapWith, matmulOf, max, sum, type Tensor } from '@attune/tensor'
import type { Chunk } from './step-chunks.ts'

const MASKED = -3.4e38
const [i0, i1, i2, i3] = ['i0', 'i1', 'i2', 'i3'].map(name => variable(name, 'i32'))

/** A map over (B, G, R, S): slots of a part against R = g·C rows, the tokens of a chunk once for each of the g query heads of a group. */
export interface SlotMap {
  readonly past: Past
  /** The part whose slots they are. */
  readonly part: string
  readonly chunk: Chunk
  /** Query heads of a group. */
  readonly group: number
}

const token = ({ chunk }: SlotMap): Expr => i2.mod(chunk.size)
/** Row of the token and of the slot at a place of the map. */
const tokenRow = (m: SlotMap): Expr => table(m.chunk.rows, { dtype: 'i32', rank: 2 }).at(i0, token(m))
function slotRow({ past, part }: SlotMap): Expr {
  const rows = past.rows?.[part]
  return rows ? table(rows, { dtype: 'i32', rank: 3 }).at(i0, i1, i3) : i3
}
const isHeld = ({ past, part }: SlotMap): Expr => i3.lt(table(past.lengths[part], { dtype: 'i32', rank: 2 }).at(i0, i1))

/** Keeps what belongs to slots before a token's own, zero elsewhere: (B, G, R, S). */
export const ofEarlierSlots = (x: Tensor, m: SlotMap): Tensor =>
  mapExpr(
    isHeld(m)
      .and(slotRow(m).lt(tokenRow(m)))
      .select(variable('x0', 'f32'), 0),
    [x],
    { dtype: 'f32' },
  )

/** Softmax attention by scores (B, G, R, S), before mask and the layer's change of them, over values (B, G, S, d): (B, G, R, d). */
export function attendSlots(scores: Tensor, values: Tensor, m: SlotMap, { mask, score }: { mask: Expr; score?: Expr }): Tensor {
  const positions = m.past.positions?.[m.part]
  const own = { 'q.row': tokenRow(m), 'q.position': table(m.chunk.positions, { dtype: 'i32', rank: 2 }).at(i0, token(m)) }
  const kPosition = positions ? table(positions, { dtype: 'i32', rank: 3 }).at(i0, i1, i3) : slotRow(m)
  const bind = (e: Expr): Expr =>
    substitute(e, {
      ...{ s: variable('x0', 'f32'), b: i0, h: i1.mul(m.group).add(i2.idiv(m.chunk.size)), kv: i1 },
      ...own,
      ...{ 'k.row': slotRow(m), 'k.position': kPosition },
    })
  const seen = isHeld(m).and(tokenRow(m).ge(0)).and(bind(mask))
  const masked = mapExpr(seen.select(score ? bind(score) : variable('x0', 'f32'), MASKED), [scores], { dtype: 'f32' })
  const raised = mapWith((s, top) => s.lt(-1e38).select(0, s.sub(top).exp()), [masked, max(masked, 3, true)], { dtype: 'f32' })
  return mapWith((y, total) => y.div(total.max(1e-37)), [matmulOf(raised, values), sum(raised, 3, true)])
}
