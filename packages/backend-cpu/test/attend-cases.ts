import { b, chain, constant, type Expr, h, k, kv, q, s, table } from '@attune/expr'
import { q8_0 } from '@attune/tensor'
import { type AttendCase, random } from './attend-case.ts'

const operand = (data: Float32Array | Int32Array, shape: readonly number[]) => ({
  dtype: data instanceof Int32Array ? ('i32' as const) : ('f32' as const),
  shape,
  data,
})
const slopes = table(operand(Float32Array.of(0.5, 0.25, 0.125, 0.0625, 0.03, 0.01), [6]), { dtype: 'f32', rank: 1 })
export const documents = table(
  operand(
    Int32Array.from({ length: 1024 }, (_, i) => (i / 37) | 0),
    [1024],
  ),
  { dtype: 'i32', rank: 1 },
)
const next = random(9)
const biases = table(
  operand(
    Float32Array.from({ length: 5 * 32 }, () => next() - 0.5),
    [5, 32],
  ),
  { dtype: 'f32', rank: 2 },
)

export const d = q.row.sub(k.row)
export const causal = k.row.le(q.row)
export const window = (n: number): Expr => causal.and(d.lt(n))
export const alibi = s.sub(d.f32().mul(slopes.at(h)))
export const softcap = s.div(20).tanh().mul(20)
/** As many tables as are bound: each counts as its own operand. */
const eight = Array.from({ length: 8 }, (_, i) => table(operand(Float32Array.of(i, 1, 2), [3]), { dtype: 'f32', rank: 1 }))
const sum = (from: number, to: number, at: Expr): Expr => eight.slice(from, to).reduce<Expr>((e, t) => e.add(t.at(at)), constant(0, 'f32'))
const long = [[130, 150]] as const
export const gqa = { heads: 6, keyHeads: [0, 0, 0, 1, 1, 1] }

// biome-ignore format: a table, one case a line
export const attendCases: readonly AttendCase[] = [
  { name: 'everything visible', rows: [[65, 0]] },
  { name: 'causal', rows: [[65, 0]], mask: causal, lse: true },
  { name: 'causal, 63 tokens', rows: [[63, 0]], mask: causal, ...gqa },
  { name: 'causal, 64 tokens', rows: [[64, 0]], mask: causal, ...gqa },
  { name: 'causal after a past', rows: long, mask: causal, ...gqa, lse: true },
  { name: 'causal, one token', rows: [[1, 700]], mask: causal, ...gqa, lse: true },
  { name: 'causal, four tokens', rows: [[4, 1300]], mask: causal, ...gqa, capacity: 2048 },
  { name: 'five tokens', rows: [[5, 61]], mask: causal, ...gqa },
  { name: 'first token', rows: [[1, 0]], mask: causal },
  { name: 'several batch rows, one empty', rows: [[70, 3], [0, 9], [1, 90], [3, 5], [20, 0]], mask: causal, ...gqa, lse: true },
  { name: 'window', rows: long, mask: window(40), ...gqa },
  { name: 'window, one token', rows: [[2, 900]], mask: window(100), ...gqa },
  { name: 'sinks and window', rows: long, mask: causal.and(d.lt(30).or(k.row.lt(4))), ...gqa },
  { name: 'documents', rows: long, mask: causal.and(documents.at(q.row).eq(documents.at(k.row))), ...gqa },
  { name: 'prefix', rows: [[90, 0]], mask: causal.or(k.row.lt(33)) },
  { name: 'chunks', rows: [[150, 0]], mask: causal.and(q.row.idiv(50).eq(k.row.idiv(50))) },
  { name: 'dilated, by head', rows: [[80, 0]], mask: causal.and(d.mod(h.add(2)).eq(0)) },
  { name: 'by key head and batch row', rows: [[20, 40], [30, 9]], mask: d.le(kv.add(1).mul(9)).and(b.eq(0).or(causal)), ...gqa },
  { name: 'select in a mask', rows: [[40, 0]], mask: k.row.lt(9).select(causal, causal.and(d.mod(2).eq(0))) },
  { name: 'some queries see nothing', rows: [[70, 0]], mask: k.row.lt(q.row.sub(30)), lse: true },
  { name: 'nothing visible', rows: [[9, 5], [1, 5]], mask: constant(false), lse: true },
  { name: 'nothing visible but the sink', rows: [[9, 5], [1, 5]], mask: constant(false), lse: true, sink: true },
  { name: 'nothing stored', rows: [[1, -1], [9, -9]], lse: true },
  { name: 'alibi', rows: long, mask: causal, score: alibi, ...gqa },
  { name: 'alibi, one token', rows: [[1, 300]], mask: causal, score: alibi },
  { name: 'softcap', rows: long, mask: causal, score: softcap },
  { name: 'alibi, softcap, window', rows: long, mask: window(50), score: chain(alibi, softcap), ...gqa },
  { name: 'alibi, softcap, window, few tokens', rows: [[3, 300]], mask: window(90), score: chain(alibi, softcap), ...gqa },
  { name: 'bias by head and distance', rows: [[50, 30]], mask: causal, score: s.add(biases.at(h, d.max(0).min(31))), heads: 5 },
  { name: 'bias table on both sides', rows: [[50, 30]], mask: biases.at(h, k.row.mod(32)).lt(0.3), score: s.add(biases.at(h, k.row.min(31))), heads: 5 },
  { name: 'score of rows', rows: [[50, 30]], mask: causal, score: s.mul(q.row.add(1).f32().log()).sub(k.row.f32().sqrt().sigmoid()) },
  { name: 'rows of tokens that skip', rows: [[70, 20], [3, 90]], mask: window(30), score: alibi, skipping: true },
  { name: 'positions', rows: [[50, 30], [2, 9]], mask: causal, score: s.sub(q.position.sub(k.position).f32().mul(0.01)), qPosition: true, kPosition: true },
  { name: 'positions of queries alone', rows: [[50, 30]], mask: k.position.le(q.position), qPosition: true },
  { name: 'weights of slots', rows: [[70, 10], [1, 300], [3, 5], [0, 9]], mask: causal, score: alibi, mass: true, ...gqa },
  { name: 'weights of slots, with a sink and lse', rows: [[70, 10], [1, 30]], mask: window(30), mass: true, lse: true, sink: true, shuffled: true },
  { name: 'weights of slots, queries that see nothing', rows: [[70, 0]], mask: k.row.lt(q.row.sub(30)), mass: true, heads: 9 },
  { name: 'weights of slots, sigmoid', rows: [[70, 10], [1, 30]], mask: causal, weigh: 'sigmoid', mass: true, dtype: 'f16', ...gqa },
  { name: 'weights of paged slots', rows: [[70, 10], [1, 30]], mask: causal, mass: true, page: 16 },
  { name: 'keys rotated late', rows: [[70, 10], [1, 300]], mask: causal, rotate: 'half', dK: 64, ...gqa },
  { name: 'keys rotated late, in pairs', rows: [[70, 10], [3, 90]], mask: window(40), rotate: 'interleaved', dK: 20, dtype: 'f16', shuffled: true },
  { name: 'keys rotated late, values inside', rows: [[7, 10], [1, 90]], mask: causal, rotate: 'half', dK: 32, dV: 16, shared: true, kPosition: true },
  { name: 'everything at once', rows: [[9, 30], [1, 40]], score: s.add(sum(0, 5, h)), mask: sum(5, 8, k.row.min(2)).lt(q.row.f32()), sink: true, lse: true, mass: true, rotate: 'half', page: 8, shuffled: true, qPosition: true, kPosition: true },
  { name: 'sink', rows: [[70, 10], [1, 30]], mask: causal, sink: true, lse: true, ...gqa },
  { name: 'sigmoid', rows: [[70, 10], [1, 30]], mask: causal, weigh: 'sigmoid', ...gqa },
  { name: 'three values per key head', rows: [[70, 0], [2, 70]], mask: causal, heads: 3, keyHeads: [0, 0, 0], valueHeads: [0, 1, 2] },
  { name: 'interleaved heads', rows: [[70, 0], [2, 70]], mask: causal, score: alibi, heads: 5, keyHeads: [0, 1, 0, 1, 0], valueHeads: [1, 0, 1, 0, 1] },
  { name: 'seventeen heads on one', rows: [[40, 0], [3, 40]], mask: causal, score: s.sub(h.f32()), heads: 17, lse: true },
  { name: 'keys of 80, values of 128', rows: [[70, 0], [1, 70]], mask: causal, dK: 80, dV: 128 },
  { name: 'keys of 20, values of 12', rows: [[70, 0], [3, 70]], mask: causal, dK: 20, dV: 12, ...gqa },
  { name: 'keys of 64', rows: [[33, 40], [1, 70]], mask: causal, dK: 64, ...gqa },
  { name: 'keys of 256', rows: [[20, 0], [1, 20]], mask: causal, dK: 256 },
  { name: 'values inside wide keys', rows: [[20, 0], [1, 30]], mask: causal, dK: 96, dV: 64, shared: true, heads: 9 },
  { name: 'f16', rows: [[66, 5], [1, 99]], mask: causal, dtype: 'f16', dK: 64, ...gqa },
  { name: 'f16, narrow', rows: [[66, 5], [1, 99]], mask: causal, dtype: 'f16', dK: 12, ...gqa },
  { name: 'bf16', rows: [[66, 5], [1, 99]], mask: causal, dtype: 'bf16', dK: 20 },
  { name: 'q8_0', rows: [[66, 5], [1, 99]], mask: causal, dtype: q8_0, dK: 64, ...gqa },
  { name: 'q8_0, values inside keys', rows: [[66, 5], [1, 99]], mask: causal, dtype: q8_0, dK: 64, dV: 32, shared: true },
  { name: 'slots out of order', rows: [[66, 40], [1, 99], [4, 20]], mask: window(33), score: alibi, shuffled: true, lse: true, ...gqa },
  { name: 'slots out of order, documents', rows: [[66, 40], [1, 99]], mask: documents.at(k.row).eq(documents.at(q.row)), shuffled: true },
  { name: 'key heads of unequal length', rows: [[30, 40], [1, 99], [3, 3]], ragged: true, shuffled: true, mask: causal, lse: true, ...gqa },
  { name: 'token-major rows', rows: [[66, 40], [1, 99]], mask: causal, transposed: true, ...gqa },
  { name: 'rows 4 KiB apart', rows: [[70, 0], [1, 70]], mask: causal, transposed: true, dK: 512, heads: 2, keyHeads: [0, 1] },
  { name: 'blocks', rows: [[30, 100], [1, 90]], mask: causal, blocks: { size: 16, capacity: 4 }, lse: true, ...gqa },
  { name: 'blocks of each query head', rows: [[9, 100], [1, 90]], mask: causal, blocks: { size: 16, capacity: 4, each: true }, lse: true, ...gqa },
  { name: 'many blocks', rows: [[1, 3000]], mask: causal, blocks: { size: 64, capacity: 60 }, score: alibi, capacity: 4096 },
  { name: 'pages', rows: [[66, 40], [1, 99]], mask: causal, page: 16, ...gqa },
  { name: 'pages of each head', rows: [[66, 40], [1, 99], [3, 3]], mask: causal, page: 16, ownPages: true, ragged: true, shuffled: true, lse: true, mass: true, ...gqa },
  { name: 'pages larger than a tile', rows: [[66, 140], [3, 99]], mask: window(100), page: 128 },
]
