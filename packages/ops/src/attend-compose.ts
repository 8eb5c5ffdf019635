import { constant, type Expr, substitute, table, variable } from '@attune/expr'
import {
  capacity,
  copyOf,
  type Dim,
  dense,
  fill,
  gatherRows,
  mapExpr,
  mapWith,
  matmulOf,
  max,
  scatterRows,
  sum,
  type Tensor,
  tensor,
} from '@attune/tensor'
import type { AttendAttrs, AttendOperands } from './attend.ts'
import { operandsOf } from './attend.ts'
import { rotateRows } from './attend-rotate.ts'

const MASKED = -3.4e38
const i32 = { dtype: 'i32', rank: 1 } as const

/**
 * Attention in primitives: all batch rows' slots are scored for every token, (B, H, N, S), and what a token may not see is masked.
 * Slow and right; the meaning every kernel is tested against.
 */
export function composeAttend(inputs: readonly Tensor[], attrs: AttendAttrs): Tensor[] {
  const o = unpaged(operandsOf(inputs, attrs), attrs)
  const visible = visibility(o, attrs)
  const q = o.q.permute(1, 0, 2).unsqueeze(0) // (1, H, N, d)
  const keys = heldOnly(perQueryHead(keysOf(o, attrs), attrs.keyHeads), o, attrs) // (B, H, S, d)
  const raw = matmulOf(q, keys.transpose()) // (B, H, N, S)
  const scaled = variable('x0', 'f32').mul(attrs.scale)
  const score = attrs.score ? bindVariables(attrs.score, o, attrs, scaled) : scaled
  const scores = mapExpr(variable('x1', 'bool').select(score, MASKED), [raw, visible])
  const values = valuesOf(o, attrs)
  const out = attrs.weigh === 'sigmoid' ? sigmoidMix(scores, visible, values) : softmaxMix(scores, visible, values, o.sink)
  const result = [copyOf(out.mixed.permute(1, 0, 2))] // (N, H, dV)
  if (attrs.lse) result.push(copyOf(out.lse!.permute(1, 0)))
  if (attrs.mass) result.push(massOf(out.weights, attrs, o.k.shape[1]))
  if (attrs.work) result.push(fill(capacity(o.k.shape[0]) * capacity(o.k.shape[2]), o.q.shape.slice(0, 2), 'i32'))
  return result
}

interface Mixed {
  readonly mixed: Tensor // (H, N, dV)
  readonly weights: Tensor // (B, H, N, S)
  readonly lse?: Tensor // (H, N)
}

function softmaxMix(scores: Tensor, visible: Tensor, values: Tensor, sink?: Tensor): Mixed {
  let top = max(max(scores, 3, true), 0, true) // (1, H, N, 1)
  if (sink) top = mapWith((m, s) => m.max(s), [top, sink.reshape([1, sink.shape[0], 1, 1])])
  const p = mapWith((s, see, m) => see.select(s.sub(m).exp(), 0).f32(), [scores, visible, top], { dtype: 'f32' })
  let total = sum(sum(p, 3, true), 0, true) // (1, H, N, 1)
  if (sink) total = mapWith((l, s, m) => l.add(s.sub(m).exp()), [total, sink.reshape([1, sink.shape[0], 1, 1]), top])
  const weights = mapWith((x, l) => x.div(l.max(1e-37)), [p, total])
  const lse = mapWith((m, l) => l.gt(0).select(m.add(l.max(1e-37).log()), MASKED), [top, total])
  return { mixed: sum(matmulOf(weights, values), 0), weights, lse: lse.squeeze(3).squeeze(0) }
}

function sigmoidMix(scores: Tensor, visible: Tensor, values: Tensor): Mixed {
  const weights = mapWith((s, see) => see.select(s.sigmoid(), 0).f32(), [scores, visible], { dtype: 'f32' })
  return { mixed: sum(matmulOf(weights, values), 0), weights }
}

/** Key of the graph: which (b, h, n, s) pairs count. bool (B, H, N, S) */
function visibility(o: AttendOperands, attrs: AttendAttrs): Tensor {
  const [b, h, n, s] = ['i0', 'i1', 'i2', 'i3'].map(name => variable(name, 'i32'))
  const kv = table(headTable(attrs), i32).at(h)
  const own = table(batchOf(o), i32).at(n).eq(b)
  let see = own.and(s.lt(table(o.lengths, { dtype: 'i32', rank: 2 }).at(b, kv)))
  const list = o.blocks?.shape[1] === o.k.shape[1] ? kv : h
  if (o.blocks) see = see.and(table(blockTable(o, attrs), { dtype: 'i32', rank: 3 }).at(n, list, s.idiv(attrs.block!)).gt(0))
  if (attrs.mask) see = see.and(bindVariables(attrs.mask, o, attrs, constant(0, 'f32')))
  return mapExpr(see, [], { dtype: 'bool', shape: [o.k.shape[0], o.q.shape[1], o.q.shape[0], o.k.shape[2]] })
}

/** Replaces the attention vocabulary by indices of a (B, H, N, S) map and reads of the metadata tables. */
function bindVariables(e: Expr, o: AttendOperands, attrs: AttendAttrs, s: Expr): Expr {
  const [b, h, n, slot] = ['i0', 'i1', 'i2', 'i3'].map(name => variable(name, 'i32'))
  const kv = table(headTable(attrs), i32).at(h)
  const qRow = table(o.qRow, i32).at(n)
  const kRow = o.kRow ? table(o.kRow, { dtype: 'i32', rank: 3 }).at(b, kv, slot) : slot
  return substitute(e, {
    s,
    b,
    h,
    kv,
    'q.row': qRow,
    'q.position': o.qPosition ? table(o.qPosition, i32).at(n) : qRow,
    'k.row': kRow,
    'k.position': o.kPosition ? table(o.kPosition, { dtype: 'i32', rank: 3 }).at(b, kv, slot) : kRow,
  })
}

const headTables = new WeakMap<AttendAttrs, Tensor>()
function headTable(attrs: AttendAttrs): Tensor {
  const t = headTables.get(attrs) ?? tensor(attrs.keyHeads, [attrs.keyHeads.length], 'i32')
  headTables.set(attrs, t)
  return t
}

/** Batch row of each token (N): how many rows end at or before it. */
function batchOf({ offsets, lengths, q }: AttendOperands): Tensor {
  const ends = table(offsets, i32).at(variable('i1', 'i32').add(1))
  return sum(mapExpr(ends.le(variable('i0', 'i32')).select(1, 0), [], { dtype: 'i32', shape: [q.shape[0], lengths.shape[0]] }), 1)
}

/** 1 where a block is on a token's list: (N, lists, blocks) i32. */
function blockTable({ blocks, blockCounts, k }: AttendOperands, { block }: AttendAttrs): Tensor {
  const [n, heads, cap] = blocks!.shape
  const count = Math.ceil(capacity(k.shape[2]) / block!)
  const [i0, i1, i2, i3] = ['i0', 'i1', 'i2', 'i3'].map(name => variable(name, 'i32'))
  const named = table(blocks!, { dtype: 'i32', rank: 3 }).at(i0, i1, i3).eq(i2)
  const listed = blockCounts ? i3.lt(table(blockCounts, { dtype: 'i32', rank: 2 }).at(i0, i1)).and(named) : named
  return max(mapExpr(listed.select(1, 0), [], { dtype: 'i32', shape: [n, heads, count, cap] }), 3)
}

/** Keys as f32, rotated if they are stored before rotation. (B, nK, S, d) */
function keysOf(o: AttendOperands, attrs: AttendAttrs): Tensor {
  const k = o.k.dtype === 'f32' ? o.k : copyOf(o.k)
  return o.rotate ? rotateRows(k, o.kPosition ?? o.kRow, o.rotate, attrs.pairing ?? 'half') : k
}

/** Values per query head. (B, H, S, dV) */
function valuesOf(o: AttendOperands, attrs: AttendAttrs): Tensor {
  const stored = o.v ?? o.k.slice(3, 0, attrs.valueWidth!)
  return heldOnly(perQueryHead(stored.dtype === 'f32' ? stored : copyOf(stored), attrs.valueHeads), o, attrs)
}

/** Zero where nothing is stored, or what lies there would spoil products and gradients with a weight of zero. (B, H, S, d) */
function heldOnly(x: Tensor, o: AttendOperands, attrs: AttendAttrs): Tensor {
  const kv = table(headTable(attrs), i32).at(variable('i1', 'i32'))
  const held = variable('i2', 'i32').lt(table(o.lengths, { dtype: 'i32', rank: 2 }).at(variable('i0', 'i32'), kv))
  return mapExpr(held.select(variable('x0', 'f32'), 0), [x], { dtype: 'f32' })
}

/** (B, n, S, d) → (B, H, S, d) by a head map. */
function perQueryHead(x: Tensor, heads: readonly number[]): Tensor {
  if (x.shape[1] === heads.length && heads.every((h, i) => h === i)) return x
  return gatherRows(dense(x.permute(1, 0, 2, 3)), tensor(heads, [heads.length], 'i32')).permute(1, 0, 2, 3)
}

/** Each slot's weight over all queries that read its key head: (B, nK, S). */
function massOf(weights: Tensor, attrs: AttendAttrs, heads: Dim): Tensor {
  const perHead = copyOf(sum(weights, 2).permute(1, 0, 2)) // (H, B, S)
  const zero = fill(0, [heads, ...perHead.shape.slice(1)])
  return copyOf(scatterRows(zero, headTable(attrs), perHead, 'add').permute(1, 0, 2))
}

/** Lays paged keys and values out by slot, so that the rest need not know pages. */
function unpaged(o: AttendOperands, { page }: AttendAttrs): AttendOperands {
  if (!o.pages) return o
  if (o.pages.rank === 3) return unpagedHeads(o, page!)
  // Entries beyond the lengths name no page.
  const first = variable('i1', 'i32').mul(page!)
  const named = mapWith((at, n) => first.lt(n).select(at, -1), [o.pages, max(o.lengths, 1, true)]) // (B, P)
  const flat = (pool: Tensor): Tensor => {
    const rows = gatherRows(pool, named) // (B, P, n, page, d)
    const [b, p, n, , d] = rows.shape
    const own = copyOf(rows.permute(0, 2, 1, 3, 4)) // (B, n, P, page, d)
    const slots = capacity(p) * page!
    const width = capacity(d)
    return own.view([b, n, slots, d], [capacity(n) * slots * width, slots * width, width, 1])
  }
  return { ...o, k: flat(o.k), v: o.v && flat(o.v), pages: undefined }
}

/** The same where each head has its own pages: table (B, n, P), pool (pages, 1, page, d). */
function unpagedHeads(o: AttendOperands, page: number): AttendOperands {
  const first = variable('i2', 'i32').mul(page)
  const named = mapWith((at, n) => first.lt(n).select(at, -1), [o.pages!, o.lengths.unsqueeze(2)]) // (B, n, P)
  const flat = (pool: Tensor): Tensor => {
    const rows = gatherRows(pool, named) // (B, n, P, 1, page, d)
    const [b, n, p, , , d] = rows.shape
    const slots = capacity(p) * page
    const width = capacity(d)
    return rows.view([b, n, slots, d], [capacity(n) * slots * width, slots * width, width, 1])
  }
  return { ...o, k: flat(o.k), v: o.v && flat(o.v), pages: undefined }
}
