import { matmul } from './matmul.ts'
import { type ComplexMatrix, type Matrix, matrix } from './matrix.ts'
import { solvePositive } from './solve.ts'

/** op(A) op(B) for complex matrices; op is the conjugate transpose where asked. */
export function complexMatmul(a: ComplexMatrix, b: ComplexMatrix, { adjointA = false, adjointB = false } = {}): ComplexMatrix {
  const trans = { transA: adjointA, transB: adjointB }
  const [sa, sb] = [adjointA ? -1 : 1, adjointB ? -1 : 1]
  const product = (x: Matrix, y: Matrix) => matmul(x, y, trans)
  return {
    re: combine(product(a.re, b.re), product(a.im, b.im), -sa * sb),
    im: combine(scaled(product(a.re, b.im), sb), product(a.im, b.re), sa),
  }
}

/** sum_n z_n z_n^H over the rows z_n of Z (N x t), i.e. C[i, j] = sum_n Z[n, i] conj(Z[n, j]), added to `acc` in place when given. */
export function complexGram(z: ComplexMatrix, acc?: ComplexMatrix): ComplexMatrix {
  const { re, im } = complexMatmul(z, z, { adjointA: true }) // the conjugate of C
  const out = acc ?? { re: matrix(re.rows, re.cols), im: matrix(re.rows, re.cols) }
  const n = re.rows
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      out.re.data[i * n + j] += (re.data[i * n + j] + re.data[j * n + i]) / 2
      out.im.data[i * n + j] -= (im.data[i * n + j] - im.data[j * n + i]) / 2
    }
  return out
}

/**
 * Complex ridge regression B = (Z^H Z + lambda I)^-1 Z^H Y, B = argmin |Z B - Y|^2 + lambda |B|^2, from the data
 * Z (N x n) and Y (N x m). Solved as the equivalent real problem of twice the size.
 */
export function complexRidge(z: ComplexMatrix, y: ComplexMatrix, lambda: number): ComplexMatrix {
  const zz = complexMatmul(z, z, { adjointA: true })
  const zy = complexMatmul(z, y, { adjointA: true })
  const n = zz.re.rows
  const m = zy.re.cols
  const real = matrix(2 * n, 2 * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      const r = (zz.re.data[i * n + j] + zz.re.data[j * n + i]) / 2 + (i === j ? lambda : 0)
      const s = (zz.im.data[i * n + j] - zz.im.data[j * n + i]) / 2
      real.data[i * 2 * n + j] = real.data[(n + i) * 2 * n + n + j] = r
      real.data[(n + i) * 2 * n + j] = s
      real.data[i * 2 * n + n + j] = -s
    }
  const right = matrix(2 * n, m)
  right.data.set(zy.re.data)
  right.data.set(zy.im.data, n * m)
  const x = solvePositive(real, right).data
  return { re: { rows: n, cols: m, data: x.slice(0, n * m) }, im: { rows: n, cols: m, data: x.slice(n * m) } }
}

function combine(x: Matrix, y: Matrix, s: number): Matrix {
  for (let i = 0; i < x.data.length; i++) x.data[i] += s * y.data[i]
  return x
}

function scaled(x: Matrix, s: number): Matrix {
  for (let i = 0; i < x.data.length; i++) x.data[i] *= s
  return x
}
