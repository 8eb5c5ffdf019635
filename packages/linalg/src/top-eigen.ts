import { AttuneError } from '@attune/expr'
import { eigh, expectCount, signedColumns } from './eigh.ts'
import { matmul } from './matmul.ts'
import { expectFinite, expectSquare, expectSymmetric, type Matrix, matrix, transpose } from './matrix.ts'
import { qr } from './qr.ts'

/** A symmetric matrix known only by its products. */
export interface Operator {
  /** Rows and columns of A. */
  size: number
  /** Maps the rows x of a block (b x size) to the rows A x. */
  apply(rows: Matrix): Matrix
}

/** The r largest eigenvalues, descending, unit eigenvectors as columns (n x r), and |A v - value v| per pair. */
export interface TopEigen {
  values: Float64Array
  vectors: Matrix
  residuals: Float64Array
}

export interface TopEigenOptions {
  /** Residuals reach `tolerance` times the largest |eigenvalue| (default 1e-10). */
  tolerance?: number
  /** Seed of the random first block (default 1). */
  seed?: number
  /** Restarts before giving up (default 8). */
  restarts?: number
}

/** Up to this size the whole reduction costs a few seconds and is always exact. */
const DIRECT = 2048
/** Up to this size it still fits WASM memory, as the way out when the iteration would be slow. */
const FITS = 10_000

/**
 * The `r` algebraically largest eigenpairs of a symmetric matrix or operator. Small matrices go through {@link eigh}; larger ones
 * through a block Krylov subspace with full reorthogonalisation and thick restarts (Wu and Simon 2000), or `eigh` after all when the
 * first subspace shows a spectrum too flat for it. Signs as `eigh`. Throws ERR_SHAPE, ERR_ARGUMENT (not finite, not symmetric, an operator that does not
 * converge: names the worst residual).
 */
export function topEigen(a: Matrix | Operator, r: number, options: TopEigenOptions = {}): TopEigen {
  if ('apply' in a) {
    expectCount('topEigen', r, a.size)
    return krylov(a, r, options)
  }
  expectSquare('topEigen', 'a', a)
  expectCount('topEigen', r, a.rows)
  if (a.rows <= DIRECT || 4 * r >= a.rows) return direct(a, r)
  expectFinite('topEigen', 'a', a)
  expectSymmetric('topEigen', 'a', a)
  const fits = a.rows <= FITS
  return krylov({ size: a.rows, apply: rows => matmul(rows, a) }, r, options, fits ? () => direct(a, r) : undefined)
}

function direct(a: Matrix, r: number): TopEigen {
  const { values, vectors } = eigh(a, { count: r })
  const product = matmul(a, vectors)
  const residuals = new Float64Array(r)
  for (let i = 0; i < product.data.length; i++) residuals[i % r] += (product.data[i] - values[i % r] * vectors.data[i]) ** 2
  return { values, vectors, residuals: residuals.map(Math.sqrt) }
}

/** Orthonormal rows V (k of them), H = V A V^T, the next block of rows, and how A leaves V: A V^T = V^T H + next^T coupling on the last block. */
interface Krylov {
  v: Matrix
  k: number
  h: Matrix // (limit, limit)
  next: Matrix // (b, n)
}

function krylov(a: Operator, r: number, { tolerance = 1e-10, seed = 1, restarts = 8 }: TopEigenOptions, wayOut?: () => TopEigen): TopEigen {
  const n = a.size
  const block = Math.min(n, 128, Math.max(8, Math.ceil(r / 4)))
  const limit = Math.min(n, Math.max(4 * r, r + 8 * block))
  const state: Krylov = { v: matrix(limit, n), k: 0, h: matrix(limit, limit), next: orthonormalRows(randomRows(block, n, seed)) }
  let worst = Infinity
  for (let round = 0; round <= restarts; round++) {
    for (let checked = state.k; ; ) {
      const width = state.next.rows
      const coupling = extend(state, a, limit)
      const full = state.k + state.next.rows > limit || state.next.rows === 0
      if (state.k < r || (!full && state.k < 1.25 * checked)) continue
      checked = state.k
      const ritz = eigh(leading(state.h, state.k))
      const residuals = residualsOf(ritz.vectors, coupling, r, width)
      const scale = Math.max(Math.abs(ritz.values[0]), Math.abs(ritz.values[state.k - 1]))
      worst = residuals.reduce((x, y) => Math.max(x, y), 0) / (scale || 1)
      if (worst <= tolerance || state.k === n) {
        const rows = matmul(columns(ritz.vectors, r), rowsOf(state.v, state.k), { transA: true })
        return { values: ritz.values.slice(0, r), vectors: signedColumns(rows.data, r, n), residuals }
      }
      if (!full) continue
      if (wayOut && worst > Math.sqrt(tolerance)) return wayOut()
      restart(state, ritz.values, ritz.vectors, Math.min(state.k - block, r + Math.ceil((limit - r) / 4)))
      break
    }
  }
  throw new AttuneError(
    'ERR_ARGUMENT',
    `topEigen: the worst of ${r} residuals is ${worst} after ${restarts} restarts, wanted ${tolerance}`,
    {
      r,
      worst,
      tolerance,
      restarts,
    },
  )
}

/** Takes the next block into the basis; returns the coupling (new b x old b) from it to the block after. */
function extend(state: Krylov, a: Operator, limit: number): Matrix {
  const { v, k, h, next } = state
  const n = a.size
  const b = next.rows
  v.data.set(next.data, k * n)
  const grown = (state.k = k + b)
  const basis = rowsOf(v, grown)
  const image = a.apply(next)
  const inside = project(image, basis) // (b, grown)
  for (let i = 0; i < b; i++)
    for (let j = 0; j < grown; j++) h.data[(k + i) * limit + j] = h.data[j * limit + k + i] = inside.data[i * grown + j]
  for (
    let i = 0;
    i < b;
    i++ // the block on the diagonal, made exactly symmetric
  )
    for (let j = 0; j < i; j++) h.data[(k + j) * limit + k + i] = h.data[(k + i) * limit + k + j]
  project(image, basis)
  const width = Math.min(b, n - grown)
  const first = qr(transpose(image)) // image^T = q r
  const again = transpose(first.q)
  project(again, basis) // columns that lay inside the basis came out arbitrary: clean them
  const second = qr(transpose(again))
  const coupling = matmul(second.r, first.r)
  state.next = rowsOf(transpose(second.q), width)
  return { rows: width, cols: b, data: coupling.data.subarray(0, width * b) }
}

/** rows -= (rows V^T) V; returns rows V^T. */
function project(rows: Matrix, basis: Matrix): Matrix {
  const inside = matmul(rows, basis, { transB: true })
  const back = matmul(inside, basis)
  for (let i = 0; i < rows.data.length; i++) rows.data[i] -= back.data[i]
  return inside
}

/** |coupling s| of each of the first r Ritz vectors s, restricted to the last block. */
function residualsOf(vectors: Matrix, coupling: Matrix, r: number, width: number): Float64Array {
  const from = (vectors.rows - width) * vectors.cols
  const last = { rows: width, cols: vectors.cols, data: vectors.data.subarray(from) }
  const out = new Float64Array(r)
  const { data, cols } = matmul(coupling, last)
  for (let i = 0; i < coupling.rows; i++) for (let j = 0; j < r; j++) out[j] += data[i * cols + j] ** 2
  return out.map(Math.sqrt)
}

/** The basis becomes its `keep` best Ritz vectors; H their values. */
function restart(state: Krylov, values: Float64Array, vectors: Matrix, keep: number): void {
  const { v, h, k } = state
  const best = matmul(columns(vectors, keep), rowsOf(v, k), { transA: true })
  v.data.set(best.data)
  h.data.fill(0)
  for (let i = 0; i < keep; i++) h.data[i * h.cols + i] = values[i]
  state.k = keep
}

const rowsOf = (a: Matrix, rows: number): Matrix => ({ rows, cols: a.cols, data: a.data.subarray(0, rows * a.cols) })

function leading(a: Matrix, k: number): Matrix {
  const out = matrix(k, k)
  for (let i = 0; i < k; i++) out.data.set(a.data.subarray(i * a.cols, i * a.cols + k), i * k)
  return out
}

function columns(a: Matrix, count: number): Matrix {
  const out = matrix(a.rows, count)
  for (let i = 0; i < a.rows; i++) out.data.set(a.data.subarray(i * a.cols, i * a.cols + count), i * count)
  return out
}

const orthonormalRows = (a: Matrix) => transpose(qr(transpose(a)).q)

/** Uniform in [-0.5, 0.5) from a 32-bit counter hash: the same on every machine. */
function randomRows(rows: number, cols: number, seed: number): Matrix {
  const out = matrix(rows, cols)
  for (let i = 0; i < out.data.length; i++) {
    let x = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
    out.data[i] = ((x ^ (x >>> 15)) >>> 0) / 2 ** 32 - 0.5
  }
  return out
}
