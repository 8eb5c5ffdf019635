import { matmul } from './matmul.ts'
import { expectEqual, expectSquare, type Matrix } from './matrix.ts'
import { detSign } from './solve.ts'
import { svd } from './svd.ts'

/**
 * The orthogonal Q (d x d) that minimises |A Q - B| (both N x d); `proper` restricts Q to rotations (determinant +1), so that a
 * 2 x 2 problem per RoPE pair commutes with RoPE. Schönemann 1966; Kabsch 1976.
 */
export function procrustes(a: Matrix, b: Matrix, options: { proper?: boolean } = {}): Matrix {
  expectEqual('procrustes', 'the rows of a and b', a.rows, b.rows)
  expectEqual('procrustes', 'the columns of a and b', a.cols, b.cols)
  return nearestOrthogonal(matmul(a, b, { transA: true }), options)
}

/** The orthogonal matrix closest to M (d x d), i.e. Procrustes from the accumulated cross Gram M = A^T B. */
export function nearestOrthogonal(m: Matrix, { proper = false }: { proper?: boolean } = {}): Matrix {
  expectSquare('nearestOrthogonal', 'm', m)
  const { u, vt } = svd(m)
  const q = matmul(u, vt)
  if (!proper || detSign(q) > 0) return q
  const d = m.rows
  for (let i = 0; i < d; i++) u.data[i * d + d - 1] *= -1 // the direction that costs least
  return matmul(u, vt)
}
