import { withCore } from './core.ts'
import { expectEqual, expectMatrix, type Matrix } from './matrix.ts'

/** What `matmul` and `gram` read: row-major numbers, float32 or float64. */
export interface Rows {
  rows: number
  cols: number
  data: Float32Array | Float64Array
}

/** Products are cut into tiles of this edge, so scratch stays near 50 MB whatever the sizes. */
const TILE = 1536

/** op(A) op(B) in float64, op = transpose where asked. Float32 inputs are widened. Throws ERR_SHAPE when the inner sizes differ. */
export function matmul(a: Rows, b: Rows, { transA = false, transB = false } = {}): Matrix {
  expectMatrix('matmul', 'a', a)
  expectMatrix('matmul', 'b', b)
  const [m, k] = transA ? [a.cols, a.rows] : [a.rows, a.cols]
  const [kb, n] = transB ? [b.cols, b.rows] : [b.rows, b.cols]
  expectEqual('matmul', 'the inner sizes of op(a) and op(b)', k, kb)
  const out = new Float64Array(m * n)
  if (k > 0)
    tiles(m, n, k, (i, mi, j, nj, p, kp, tile) => {
      const [x, ldx] = transA ? tile.load(0, a, p, kp, i, mi) : tile.load(0, a, i, mi, p, kp)
      const [y, ldy] = transB ? tile.load(1, b, j, nj, p, kp) : tile.load(1, b, p, kp, j, nj)
      tile.multiply(mi, nj, kp, x, transA ? 1 : ldx, transA ? ldx : 1, y, transB ? 1 : ldy, transB ? ldy : 1, p > 0)
      if (p + kp === k) tile.store(out, n, i, mi, j, nj)
    })
  return { rows: m, cols: n, data: out }
}

/**
 * X^T X in float64, added to `acc` when given (in place; it must be symmetric). X (tokens x channels) may be float32: call it once
 * per chunk of calibration rows. The result is exactly symmetric. Throws ERR_SHAPE when `acc` is not channels x channels.
 */
export function gram(x: Rows, acc?: Matrix): Matrix {
  expectMatrix('gram', 'x', x)
  const n = x.cols
  const out = acc ?? { rows: n, cols: n, data: new Float64Array(n * n) }
  expectMatrix('gram', 'acc', out)
  expectEqual('gram', 'the rows of acc and the columns of x', out.rows, n)
  expectEqual('gram', 'the columns of acc and the columns of x', out.cols, n)
  tiles(n, n, x.rows, (i, mi, j, nj, p, kp, tile) => {
    if (j < i) return
    if (p === 0) tile.restore(out.data, n, i, mi, j, nj)
    const [left, ldl] = tile.load(0, x, p, kp, i, mi)
    const [right, ldr] = i === j ? [left, ldl] : tile.load(1, x, p, kp, j, nj)
    tile.multiply(mi, nj, kp, left, 1, ldl, right, ldr, 1, true, i === j)
    if (p + kp < x.rows) return
    tile.store(out.data, n, i, mi, j, nj)
    mirror(out.data, n, i, mi, j, nj)
  })
  return out
}

interface Tile {
  load(side: 0 | 1, from: Rows, r: number, rows: number, c: number, cols: number): [pointer: number, ld: number]
  multiply(
    ...args: [
      m: number,
      n: number,
      k: number,
      x: number,
      rsx: number,
      csx: number,
      y: number,
      rsy: number,
      csy: number,
      add: boolean,
      upper?: boolean,
    ]
  ): void
  restore(from: Float64Array, ld: number, i: number, rows: number, j: number, cols: number): void
  store(to: Float64Array, ld: number, i: number, rows: number, j: number, cols: number): void
}
type Visit = (i: number, mi: number, j: number, nj: number, p: number, kp: number, tile: Tile) => void

function tiles(m: number, n: number, k: number, visit: Visit): void {
  const [tm, tn, tk] = [Math.min(m, TILE), Math.min(n, TILE), Math.min(k, TILE)]
  withCore(({ run, alloc, view }) => {
    const x = alloc(tm * tk)
    const y = alloc(tk * tn)
    const c = alloc(tm * tn)
    const tile: Tile = {
      load(side, from, r, rows, col, cols) {
        const to = side === 0 ? x : y
        copyIn(view(to, rows * cols), from.data, from.cols, r, rows, col, cols)
        return [to, cols]
      },
      multiply: (mi, nj, kp, px, rsx, csx, py, rsy, csy, add, upper) =>
        run.gemm(mi, nj, kp, 1, px, rsx, csx, py, rsy, csy, add ? 1 : 0, c, nj, upper ? 1 : 0),
      restore: (from, ld, i, rows, j, cols) => copyIn(view(c, rows * cols), from, ld, i, rows, j, cols),
      store(to, ld, i, rows, j, cols) {
        const from = view(c, rows * cols)
        if (cols === ld) to.set(from, i * ld)
        else for (let r = 0; r < rows; r++) to.set(from.subarray(r * cols, (r + 1) * cols), (i + r) * ld + j)
      },
    }
    for (let i = 0; i < m; i += TILE)
      for (let j = 0; j < n; j += TILE)
        for (let p = 0; p < k; p += TILE) visit(i, Math.min(TILE, m - i), j, Math.min(TILE, n - j), p, Math.min(TILE, k - p), tile)
  })
}

function copyIn(to: Float64Array, from: Float32Array | Float64Array, ld: number, r: number, rows: number, c: number, cols: number): void {
  if (cols === ld) to.set(from.subarray(r * ld, (r + rows) * ld))
  else for (let i = 0; i < rows; i++) to.set(from.subarray((r + i) * ld + c, (r + i) * ld + c + cols), i * cols)
}

/** Copies a tile on or above the diagonal to its mirror image. */
function mirror(data: Float64Array, n: number, i0: number, rows: number, j0: number, cols: number): void {
  const block = 32
  for (let ib = i0; ib < i0 + rows; ib += block)
    for (let jb = Math.max(j0, i0 === j0 ? ib : j0); jb < j0 + cols; jb += block)
      for (let i = ib; i < Math.min(i0 + rows, ib + block); i++)
        for (let j = Math.max(jb, i + 1); j < Math.min(j0 + cols, jb + block); j++) data[j * n + i] = data[i * n + j]
}
