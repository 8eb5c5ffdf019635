import { AttuneError } from '@attune/expr'

/** A dense real matrix, row-major: entry (i, j) is `data[i * cols + j]`. */
export interface Matrix {
  rows: number
  cols: number
  data: Float64Array
}

/** A dense complex matrix as two real ones of the same shape. */
export interface ComplexMatrix {
  re: Matrix
  im: Matrix
}

/** Makes a matrix of the numbers given (not copied when they are a Float64Array), or of zeros. Throws ERR_SHAPE when the count is wrong. */
export function matrix(rows: number, cols: number, data?: ArrayLike<number>): Matrix {
  const whole = Number.isInteger(rows) && Number.isInteger(cols) && rows >= 0 && cols >= 0
  if (!whole) throw new AttuneError('ERR_SHAPE', `matrix: rows and cols must be whole numbers, got ${rows} x ${cols}`, { rows, cols })
  const made = {
    rows,
    cols,
    data: data === undefined ? new Float64Array(rows * cols) : data instanceof Float64Array ? data : Float64Array.from(data),
  }
  expectMatrix('matrix', 'data', made)
  return made
}

/** The n x n identity. */
export function identity(n: number): Matrix {
  const out = matrix(n, n)
  for (let i = 0; i < n; i++) out.data[i * n + i] = 1
  return out
}

/** The transpose, as a new matrix. */
export function transpose(a: Matrix): Matrix {
  const { rows, cols, data } = a
  const out = new Float64Array(rows * cols)
  const block = 32 // both sides stay in cache
  for (let i0 = 0; i0 < rows; i0 += block)
    for (let j0 = 0; j0 < cols; j0 += block)
      for (let i = i0; i < Math.min(rows, i0 + block); i++)
        for (let j = j0; j < Math.min(cols, j0 + block); j++) out[j * rows + i] = data[i * cols + j]
  return { rows: cols, cols: rows, data: out }
}

/** A + fraction * mean(diag A) * I: the damping of calibration Grams. */
export function damp(a: Matrix, fraction: number): Matrix {
  expectSquare('damp', 'a', a)
  const n = a.rows
  let trace = 0
  for (let i = 0; i < n; i++) trace += a.data[i * n + i]
  const data = a.data.slice()
  for (let i = 0; i < n; i++) data[i * n + i] += (fraction * trace) / n
  return { rows: n, cols: n, data }
}

/** The sum of |x|^2, square-rooted without overflow. */
export function frobenius(a: Matrix): number {
  let big = 0
  for (const x of a.data) big = Math.max(big, Math.abs(x))
  if (big === 0 || !Number.isFinite(big)) return big
  let sum = 0
  for (const x of a.data) sum += (x / big) * (x / big)
  return big * Math.sqrt(sum)
}

/** Throws ERR_SHAPE unless `data` has rows * cols numbers. */
export function expectMatrix(where: string, name: string, a: { rows: number; cols: number; data: ArrayLike<number> }): void {
  const { rows, cols, data } = a
  if (data.length === rows * cols) return
  throw new AttuneError('ERR_SHAPE', `${where}: ${name} is ${rows} x ${cols} but holds ${data.length} numbers`, {
    name,
    rows,
    cols,
    length: data.length,
  })
}

/** Throws ERR_SHAPE unless the matrix is square and not empty. */
export function expectSquare(where: string, name: string, a: Matrix): void {
  expectMatrix(where, name, a)
  if (a.rows === a.cols && a.rows > 0) return
  throw new AttuneError('ERR_SHAPE', `${where}: ${name} must be square and not empty, got ${a.rows} x ${a.cols}`, {
    name,
    rows: a.rows,
    cols: a.cols,
  })
}

/** Throws ERR_SHAPE unless two sizes agree. */
export function expectEqual(where: string, what: string, left: number, right: number): void {
  if (left !== right) throw new AttuneError('ERR_SHAPE', `${where}: ${what} must agree, got ${left} and ${right}`, { left, right })
}

/** Throws ERR_ARGUMENT naming the first entry that is NaN or infinite. */
export function expectFinite(where: string, name: string, a: Matrix): void {
  const at = a.data.findIndex(x => !Number.isFinite(x))
  if (at < 0) return
  const row = Math.floor(at / a.cols)
  const col = at % a.cols
  throw new AttuneError('ERR_ARGUMENT', `${where}: ${name}[${row}, ${col}] is ${a.data[at]}`, { name, row, col, value: a.data[at] })
}

/** Throws ERR_ARGUMENT naming an entry where |a_ij - sign * a_ji| exceeds 1e-8 of the largest entry. */
export function expectSymmetric(where: string, name: string, a: Matrix, sign = 1, scale = largest(a)): void {
  const n = a.rows
  const limit = 1e-8 * scale
  const block = 32
  for (let ib = 0; ib < n; ib += block)
    for (let jb = ib; jb < n; jb += block)
      for (let i = ib; i < Math.min(n, ib + block); i++)
        for (let j = Math.max(i, jb); j < Math.min(n, jb + block); j++) {
          const x = a.data[i * n + j]
          const y = sign * a.data[j * n + i]
          if (Math.abs(x - y) <= limit) continue
          throw new AttuneError(
            'ERR_ARGUMENT',
            `${where}: ${name} is not ${sign > 0 ? 'symmetric' : 'antisymmetric'}: [${i}, ${j}] is ${x}, its mirror ${sign * y}`,
            {
              name,
              row: i,
              col: j,
            },
          )
        }
}

/** The largest magnitude. */
export function largest(a: Matrix): number {
  let big = 0
  for (const x of a.data) big = Math.max(big, Math.abs(x))
  return big
}
