import { constant, table, variable } from '@attune/expr'
import {
  capacity,
  copyOf,
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
import type { ScanAttrs, ScanOperands } from './scan.ts'
import { type Decays, decayed, decaysOf, pairs } from './scan-decay.ts'

/**
 * The chunked form in primitives: inside a chunk of C tokens every pair is weighed at once, states pass from chunk to chunk. All batch
 * rows share the chunks; a token sees the tokens and the state of its own row. When the tokens fit one chunk this is the parallel form.
 */
export function composeScan(o: ScanOperands, attrs: ScanAttrs): Tensor[] {
  const n = o.q.shape[0]
  const size = chunkSize(capacity(n), o.decay?.rank === 3)
  let state = dense(o.initial.permute(1, 0, 2, 3)) // (P, B, dK, dV)
  if (capacity(n) <= size) {
    const step = chunk(o, rowOf(o, mapExpr(i0, [], { dtype: 'i32', shape: [n] })), state, attrs)
    return [copyOf(step.out.permute(1, 0, 2)), copyOf(step.state.permute(1, 0, 2, 3))]
  }
  let out = fill(0, [n, attrs.queryHeads.length, o.v.shape[2]])
  const total = table(max(mapExpr(starts(o).at(i0.add(1)), [], { dtype: 'i32', shape: [o.initial.shape[0]] }), 0, true), i32)
  for (let first = 0; first < capacity(n); first += size) {
    const token = i0.add(first)
    const at = mapExpr(token.lt(total.at(constant(0, 'i32'))).select(token, -1), [], { dtype: 'i32', shape: [size] })
    const of = (t: Tensor): Tensor => gatherRows(t, at)
    const part = { ...o, q: of(o.q), k: of(o.k), v: of(o.v), decay: o.decay && of(o.decay), beta: o.beta && of(o.beta) }
    const step = chunk(part, rowOf(o, at), state, attrs)
    out = scatterRows(out, at, dense(step.out.permute(1, 0, 2)))
    state = step.state
  }
  return [out, copyOf(state.permute(1, 0, 2, 3))]
}

/** Tokens weighed at once. Decay per channel needs a product per pair and channel: smaller chunks. */
const chunkSize = (n: number, channels: boolean): number => (channels ? Math.max(32, n / 32) : Math.max(64, n / 16))

const i32 = { dtype: 'i32', rank: 1 } as const
const [i0, i1, i2] = ['i0', 'i1', 'i2'].map(name => variable(name, 'i32'))
const starts = ({ offsets }: ScanOperands) => table(offsets, i32)

/** Batch row of each token (C) i32; −1 where the token is −1. */
function rowOf(o: ScanOperands, token: Tensor): Tensor {
  const begun = mapWith(t => starts(o).at(i1).le(t).select(1, 0), [token.unsqueeze(1)], {
    shape: [token.shape[0], o.initial.shape[0]],
    dtype: 'i32',
  })
  return mapWith((t, count) => t.lt(0).select(-1, count.sub(1).max(0)), [token, sum(begun, 1)], { dtype: 'i32' })
}

/** One chunk: outputs (H, C, dV) and the state after it (P, B, dK, dV). */
function chunk(o: ScanOperands, row: Tensor, before: Tensor, attrs: ScanAttrs): { out: Tensor; state: Tensor } {
  const q = perHead(
    mapWith(x => x.mul(attrs.scale), [o.q]),
    attrs.queryHeads,
  ) // (H, C, dK)
  const k = perHead(o.k, attrs.keyHeads) // (P, C, dK)
  const v = perHead(o.v, attrs.valueHeads) // (P, C, dV)
  const d = decaysOf(o.decay, row, o.initial.shape[0])
  const u = attrs.rule === 'add' ? v : deltas(o, k, v, d, row, before)

  const read: Decays = { pairs: choose(d.pairs, attrs.stateHeads), begin: choose(d.begin, attrs.stateHeads) }
  const own = matmulOf(pairs(q, choose(k, attrs.stateHeads), read, visible(row)), choose(u, attrs.stateHeads)) // (H, C, dV)
  const old = fromState(decayed(q, read.begin), choose(before, attrs.stateHeads), row)
  const out = mapWith((a, b) => a.add(b), [own, old])

  const keys = decayed(k, d.end).unsqueeze(1) // (P, 1, C, dK)
  const byRow = mapWith((x, r) => r.eq(i1).select(x, 0), [keys, column(row)], { shape: [1, before.shape[1], 1, 1] })
  const added = matmulOf(byRow.transpose(), u.unsqueeze(1)) // (P, B, dK, dV)
  const state = mapWith((s, a) => s.add(a), [d.whole ? mapWith((s, w) => s.mul(w), [before, d.whole]) : before, added])
  return { out, state }
}

/**
 * What each token really writes: U = (I + A)⁻¹ β (V − Kᵀ S), A strictly lower triangular. The inverse grows from blocks of one by
 * doubling, X ← X − X·A'·X with A' the part of A that joins neighbouring blocks: stable where a product of powers of A is not.
 */
function deltas(o: ScanOperands, k: Tensor, v: Tensor, d: Decays, row: Tensor, before: Tensor): Tensor {
  const beta = o.beta && dense(o.beta.permute(1, 0)).unsqueeze(2) // (P, C, 1)
  const times = (x: Tensor): Tensor => (beta ? mapWith((a, b) => a.mul(b), [x, beta]) : x)
  const a = times(pairs(k, k, d, earlier(row))) // (P, C, C)
  const rest = mapWith((x, s) => x.sub(s), [v, fromState(decayed(k, d.begin), before, row)])
  const joins = (block: number): Tensor =>
    mapWith(
      x =>
        i1
          .idiv(2 * block)
          .eq(i2.idiv(2 * block))
          .and(i1.idiv(block).gt(i2.idiv(block)))
          .select(x, 0),
      [a],
    )
  let inverse = mapWith(x => i1.eq(i2).select(1, x.neg()), [joins(1)])
  for (let block = 2; block < capacity(row.shape[0]); block *= 2)
    inverse = mapWith((x, y) => x.sub(y), [inverse, matmulOf(matmulOf(inverse, joins(block)), inverse)])
  return matmulOf(inverse, times(rest))
}

/** x (H, C, dK) times the state of each token's own row, s (H, B, dK, dV): (H, C, dV). */
function fromState(x: Tensor, s: Tensor, row: Tensor): Tensor {
  const all = matmulOf(x.unsqueeze(1), s) // (H, B, C, dV)
  return sum(
    mapWith((y, r) => r.eq(i1).select(y, 0), [all, column(row)]),
    1,
  )
}

/** (C) as (1, 1, C, 1). */
const column = (row: Tensor): Tensor => row.unsqueeze(0).unsqueeze(0).unsqueeze(3)
/** Whether token i may see token j: its row's tokens up to itself, or only those before it. bool (C, C) */
const visible = (row: Tensor): Tensor => mapWith((a, b) => a.eq(b).and(i1.le(i0)), [row.unsqueeze(1), row.unsqueeze(0)])
const earlier = (row: Tensor): Tensor => mapWith((a, b) => a.eq(b).and(i1.lt(i0)), [row.unsqueeze(1), row.unsqueeze(0)])

/** (C, n, d) → (heads, C, d) by a head map. */
const perHead = (x: Tensor, heads: readonly number[]): Tensor => choose(dense(x.permute(1, 0, 2)), heads)
/** Heads along axis 0 by a map. */
function choose<T extends Tensor | undefined>(x: T, heads: readonly number[]): T {
  if (!x || (x.shape[0] === heads.length && heads.every((h, i) => h === i))) return x
  return gatherRows(dense(x), tensor(heads, [heads.length], 'i32')) as T
}
