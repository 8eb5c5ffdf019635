import { type Matrix, matmul, matrix, topEigen, transpose } from '@attune/linalg'
import { moved, trace } from './moments.ts'

/** A latent from which keys that are not turned and values of all heads follow. */
export interface JointLatent {
  /** (components, 2 · kvHeads · d): the latent from keys and values. */
  readonly down: Matrix
  /** Keys that are not turned (still, components) and values (kvHeads · d, components) from the latent. */
  readonly keys: Matrix
  readonly values: Matrix
  /** Share of the (balanced) energy that the latent holds. */
  readonly kept: number
}

export interface JointOptions {
  /** (still, kvHeads · d) */
  readonly still: Matrix
  /** Second moments of keys and values of all heads (2 · kvHeads · d)². */
  readonly moments: Matrix
  readonly components: number
  /** Keys are made this many times as large as values before their principal components are taken (BKV); undefined: left as they are. */
  readonly balance?: number
}

/** Principal components of keys and values together: exact when there are as many as numbers. Orthonormal, so they are read back by their transpose. */
export function jointLatent({ still, moments, components, balance }: JointOptions): JointLatent {
  const [p, n] = [still.rows, still.cols]
  const select = matrix(p + n, 2 * n)
  for (let i = 0; i < p; i++) select.data.set(still.data.subarray(i * n, (i + 1) * n), i * 2 * n)
  for (let i = 0; i < n; i++) select.data[(p + i) * 2 * n + n + i] = 1
  const ratio = p > 0 && balance !== undefined ? keyRatio(moved(select, moments), p, balance) : 1
  for (let i = 0; i < p * 2 * n; i++) select.data[i] /= ratio
  const energy = moved(select, moments)
  const { values, vectors } = topEigen(energy, components) // (p + n, components)
  const all = trace(energy)
  return {
    down: matmul(vectors, select, { transA: true }),
    keys: { rows: p, cols: components, data: vectors.data.subarray(0, p * components).map(x => x * ratio) },
    values: { rows: n, cols: components, data: vectors.data.slice(p * components) },
    kept: all > 0 ? Math.min(1, values.reduce((a, b) => a + b, 0) / all) : 1,
  }
}

/** Principal components of keys and of values apart, as many of each as their share of the numbers. */
export function splitLatent({ still, moments, components }: Omit<JointOptions, 'balance'>): JointLatent {
  const [p, n] = [still.rows, still.cols]
  if (p === 0) return jointLatent({ still, moments, components })
  const ofKeys = Math.min(p, components - 1, Math.max(1, components - n, Math.round((components * p) / (p + n))))
  const part = (at: number) => {
    const out = matrix(n, n)
    for (let i = 0; i < n; i++) out.data.set(moments.data.subarray((at + i) * 2 * n + at, (at + i) * 2 * n + at + n), i * n)
    return out
  }
  const [keyEnergy, valueEnergy] = [moved(still, part(0)), part(n)]
  const [k, v] = [topEigen(keyEnergy, ofKeys), topEigen(valueEnergy, components - ofKeys)]
  const down = matrix(components, 2 * n)
  putRows(down, matmul(k.vectors, still, { transA: true }), 0, 0)
  putRows(down, transpose(v.vectors), ofKeys, n)
  const keys = matrix(p, components)
  putRows(keys, k.vectors, 0, 0)
  const values = matrix(n, components)
  putRows(values, v.vectors, 0, ofKeys)
  const all = trace(keyEnergy) + trace(valueEnergy)
  const held = [...k.values, ...v.values].reduce((a, b) => a + b, 0)
  return { down, keys, values, kept: all > 0 ? Math.min(1, held / all) : 1 }
}

function putRows(to: Matrix, from: Matrix, row: number, col: number): void {
  for (let r = 0; r < from.rows; r++) to.data.set(from.data.subarray(r * from.cols, (r + 1) * from.cols), (row + r) * to.cols + col)
}

/** Mean length of a key's column over that of a value's. */
function keyRatio(moments: Matrix, p: number, balance: number): number {
  const size = (from: number, to: number) => {
    let sum = 0
    for (let i = from; i < to; i++) sum += Math.sqrt(Math.max(0, moments.data[i * moments.cols + i]))
    return sum / (to - from)
  }
  const ratio = size(0, p) / (size(p, moments.rows) * balance)
  return Number.isFinite(ratio) && ratio > 0 ? ratio : 1
}
