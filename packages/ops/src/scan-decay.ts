import { variable } from '@attune/expr'
import { type Dim, dense, mapWith, matmulOf, sum, type Tensor } from '@attune/tensor'

/** What is kept between two places of a chunk, per head ([dK] absent) or per key channel; fields are absent where all is kept. */
export interface Decays {
  /** From after token j to token i (P, [dK], C, C); defined for all pairs, meant where j is of i's row and not after it. */
  readonly pairs?: Tensor
  /** From the chunk's begin to token i (P, [dK], C). */
  readonly begin?: Tensor
  /** From after token j to the chunk's end (P, [dK], C). */
  readonly end?: Tensor
  /** Over the whole chunk, per row, to multiply a state (P, B, dK | 1, 1). */
  readonly whole?: Tensor
}

/** Sums of log decays over spans are products with 0/1 matrices, never differences of running sums: exact where those cancel. */
export function decaysOf(decay: Tensor | undefined, row: Tensor, rows: Dim): Decays {
  if (!decay) return {}
  const [i, j] = ['i0', 'i1'].map(name => variable(name, 'i32'))
  // Beyond −200 nothing is left in f32; −∞ times 0 must not become NaN.
  const finite = mapWith(x => x.max(-200), [decay])
  const g = dense(decay.rank === 3 ? finite.permute(1, 2, 0) : finite.permute(1, 0)).unsqueeze(decay.rank - 1) // (P, [dK], 1, C)
  const [at, from] = [row.unsqueeze(1), row.unsqueeze(0)]
  const upTo = mapWith((a, b) => a.eq(b).and(j.le(i)).select(1, 0).f32(), [at, from], { dtype: 'f32' }) // (C, C)
  const spans = mapWith((x, m) => x.mul(m), [g, upTo]) // (P, [dK], C, C): log decay of token l on the way to token i
  const after = mapWith(() => i.gt(j).select(1, 0).f32(), [], { shape: [row.shape[0], row.shape[0]], dtype: 'f32' })
  const later = mapWith((m, x) => m.mul(x), [after, upTo])
  const inRow = mapWith(r => r.eq(j).select(1, 0).f32(), [at], { shape: [1, rows], dtype: 'f32' }) // (C, B)
  const kept = (x: Tensor): Tensor => mapWith(y => y.exp(), [x])
  const whole = kept(matmulOf(g, inRow)) // (P, [dK], 1, B)
  return {
    pairs: kept(matmulOf(spans, after)),
    begin: kept(sum(spans)),
    end: kept(matmulOf(g, later).squeeze(-2)),
    whole: dense(decay.rank === 3 ? whole.permute(0, 3, 1, 2) : whole.permute(0, 2, 1).unsqueeze(2)),
  }
}

/** Products of a (H, C, dK) and k (H, C, dK) for each pair, decayed; 0 where `seen` (C, C) is false: (H, C, C). */
export function pairs(a: Tensor, k: Tensor, d: Decays, seen: Tensor): Tensor {
  if (!d.pairs) return mapWith((x, s) => s.select(x, 0), [matmulOf(a, k.transpose()), seen])
  if (d.pairs.rank === 3) return mapWith((x, y, s) => s.select(x.mul(y), 0), [matmulOf(a, k.transpose()), d.pairs, seen])
  const [ai, kj] = [dense(a.transpose()).unsqueeze(3), dense(k.transpose()).unsqueeze(2)] // (H, dK, C, 1), (H, dK, 1, C)
  return sum(
    mapWith((x, y, z, s) => s.select(x.mul(y).mul(z), 0), [ai, kj, d.pairs, seen]),
    1,
  )
}

/** x (H, C, dK) decayed by (H, C) or (H, dK, C). */
export function decayed(x: Tensor, by: Tensor | undefined): Tensor {
  if (!by) return x
  return mapWith((a, b) => a.mul(b), [x, by.rank === 2 ? by.unsqueeze(2) : by.transpose()])
}
