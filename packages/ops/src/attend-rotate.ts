import { table, variable } from '@attune/expr'
import { capacity, dense, mapExpr, mapWith, type Tensor } from '@attune/tensor'

/**
 * Rotates cached rows by their positions: x (B, n, S, d) f32, positions (B, n, S) i32 (absent: the slot), frequencies (F) → (B, n, S, d).
 * Dimensions beyond 2F pass unchanged. Angles are position × frequency in float32, as in `rope`.
 */
export function rotateRows(x: Tensor, positions: Tensor | undefined, frequencies: Tensor, pairing: 'half' | 'interleaved'): Tensor {
  const f = capacity(frequencies.shape[0])
  const [b, n, s, d] = ['i0', 'i1', 'i2', 'i3'].map(name => variable(name, 'i32'))
  const stored = dense(x)
  const rows = x.shape.slice(0, 3).reduce<number>((a, dim) => a * capacity(dim), 1)
  const width = capacity(x.shape[3])
  const all = table(stored.view([rows, width], [width, 1]), { dtype: 'f32', rank: 2 })
  const row = b.mul(capacity(x.shape[1])).add(n).mul(capacity(x.shape[2])).add(s)
  const first = pairing === 'half' ? d.lt(f) : d.mod(2).eq(0)
  const step = pairing === 'half' ? f : 1
  // Beyond 2F there is no partner; its own column keeps the read in range.
  const partner = d.lt(2 * f).select(first.select(d.add(step), d.sub(step)), d)
  const index = d.lt(2 * f).select(pairing === 'half' ? first.select(d, d.sub(f)) : d.idiv(2), 0)
  const position = positions ? table(positions, { dtype: 'i32', rank: 3 }).at(b, n, s) : s
  const angles = mapWith(w => position.f32().mul(w), [frequencies], { shape: [...x.shape.slice(0, 3), f] }) // rounded to f32
  const angle = table(angles.view([rows, f], [f, 1]), { dtype: 'f32', rank: 2 }).at(row, index)
  const own = variable('x0', 'f32')
  const other = all.at(row, partner)
  const turned = own.mul(angle.cos()).add(first.select(other.neg(), other).mul(angle.sin()))
  return mapExpr(d.lt(2 * f).select(turned, own), [x], { dtype: 'f32' })
}
