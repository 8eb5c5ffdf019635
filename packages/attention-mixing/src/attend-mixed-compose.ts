import { constant, type Expr, substitute, table, variable } from '@attune/expr'
import { capacity, copyOf, dense, gatherRows, mapExpr, mapWith, matmulOf, max, sum, type Tensor, tensor } from '@attune/tensor'
import { type MixedAttrs, type MixedOperands, mixedOperands } from './attend-mixed.ts'

const MASKED = -3.4e38
const [i0, i1, i2, i3] = ['i0', 'i1', 'i2', 'i3'].map(name => variable(name, 'i32'))
const vector = { dtype: 'i32', rank: 1 } as const
const matrix = { dtype: 'i32', rank: 2 } as const

/** The meaning in primitives: all batch rows' slots are scored for every token, and what a token may not see is masked. */
export function composeMixed(inputs: readonly Tensor[], attrs: MixedAttrs): Tensor[] {
  const o = mixedOperands(inputs, attrs)
  const logits = o.taps ? convolved(o, attrs, o.taps) : products(o, attrs, 0) // (B, H, N, S)
  const byToken = logits.permute(0, 2, 1, 3) // (B, N, H, S)
  const mixed = o.before ? matmulOf(o.before, byToken) : byToken // (B, N, G, S)
  const at: Place = { n: i1, h: i2 }
  const score = attrs.score ? bound(attrs.score, o, at, variable('x0', 'f32')) : variable('x0', 'f32')
  const scores = mapExpr(seen(o, attrs, at).select(score, MASKED), [mixed], { dtype: 'f32' })
  const raised = mapWith((s, top) => s.lt(-1e38).select(0, s.sub(top).exp()), [scores, max(scores, 3, true)], { dtype: 'f32' })
  const weights = mapWith((e, total) => e.div(total.max(1e-37)), [raised, sum(raised, 3, true)])
  const byValue = (o.after ? matmulOf(o.after, weights) : weights).permute(0, 2, 1, 3) // (B, V, N, S)
  return [copyOf(sum(matmulOf(byValue, perHead(heldOnly(o.v, o), attrs.valueHeads)), 0).permute(1, 0, 2))]
}

/** Indices of a map over (B, …) that name a token and a head; slots are i3. `back`: of the token so many before. */
interface Place {
  readonly n: Expr
  readonly h: Expr
  readonly back?: number
}

/** Scaled products of the queries `back` tokens before each with all keys: (B, H, N, S). */
function products(o: MixedOperands, { keyHeads, scale }: MixedAttrs, back: number): Tensor {
  const heads = keyHeads.length
  const q = o.q
    .slice(1, back * heads, (back + 1) * heads)
    .permute(1, 0, 2)
    .unsqueeze(0)
  return mapWith(x => x.mul(scale), [matmulOf(q, perHead(heldOnly(o.k, o), keyHeads).transpose())])
}

/** Σ over the last queries a and neighbouring slots t of taps[h, A − 1 − a, t] · logit(n − a, s + t − (T − 1)/2). */
function convolved(o: MixedOperands, attrs: MixedAttrs, taps: Tensor): Tensor {
  const [heads, queries, width] = taps.shape.map(capacity)
  const weight = table(taps, { dtype: 'f32', rank: 3 })
  let total: Tensor | undefined
  for (let back = 0; back < queries; back++) {
    const visible = seen(o, attrs, { n: i2, h: i1, back })
    const own = mapExpr(visible.select(variable('x0', 'f32'), 0), [products(o, attrs, back)], { dtype: 'f32' }) // (B, H, N, S)
    const [b, , n, s] = own.shape
    const logit = table(own.reshape([capacity(b) * heads, n, s]), { dtype: 'f32', rank: 3 })
    const last = capacity(s) - 1
    let sums: Expr = total ? variable('x0', 'f32') : constant(0, 'f32')
    for (let t = 0; t < width; t++) {
      const slot = i3.add(t - (width - 1) / 2)
      const inside = slot.ge(0).and(slot.le(last))
      const read = logit.at(i0.mul(heads).add(i1), i2, slot.max(0).min(last))
      sums = sums.add(inside.select(read, 0).mul(weight.at(i1, queries - 1 - back, t)))
    }
    total = mapExpr(sums, total ? [total] : [], { dtype: 'f32', shape: own.shape })
  }
  return total!
}

const qRow = (o: MixedOperands, { n, back = 0 }: Place): Expr => table(o.qRow, vector).at(n).sub(back)
const kRow = (o: MixedOperands): Expr => (o.kRow ? table(o.kRow, matrix).at(i0, i3) : i3)

/** Whether a token, or one before it, sees a slot. */
function seen(o: MixedOperands, { mask }: MixedAttrs, at: Place): Expr {
  const own = table(o.batch, vector).at(at.n).eq(i0)
  const held = i3.lt(table(o.lengths, vector).at(i0)).and(kRow(o).ge(0))
  return own
    .and(held)
    .and(qRow(o, at).ge(0))
    .and(bound(mask, o, at, constant(0, 'f32')))
}

/** Replaces the attention vocabulary by indices and reads. */
function bound(e: Expr, o: MixedOperands, at: Place, s: Expr): Expr {
  return substitute(e, {
    ...{ s, b: i0, h: at.h, kv: at.h },
    'q.row': qRow(o, at),
    'q.position': table(o.qPosition, vector)
      .at(at.n)
      .sub(at.back ?? 0),
    'k.row': kRow(o),
    'k.position': o.kPosition ? table(o.kPosition, matrix).at(i0, i3) : kRow(o),
  })
}

/** Zero where nothing is stored, or what lies there would spoil products with a weight of zero. (B, n, S, d) */
function heldOnly(x: Tensor, o: MixedOperands): Tensor {
  const held = i2.lt(table(o.lengths, vector).at(i0))
  return mapExpr(held.select(variable('x0', 'f32'), 0), [x], { dtype: 'f32' })
}

/** (B, n, S, d) → (B, heads, S, d) by a head map. */
function perHead(x: Tensor, heads: readonly number[]): Tensor {
  if (x.shape[1] === heads.length && heads.every((h, i) => h === i)) return x
  return gatherRows(dense(x.permute(1, 0, 2, 3)), tensor(heads, [heads.length], 'i32')).permute(1, 0, 2, 3)
}
