import { createHash } from 'node:crypto'
import { allLogits } from '@attune/models'

/** @typedef {import('@attune/models').Runner} Runner */

/**
 * Logits of every token of one sequence, (T, vocab) row by row.
 * @param {Runner} runner @param {readonly number[]} ids @param {(row: Float32Array, at: number) => void} visit
 * @param {number[]} [pieces] how many tokens each step takes; the runner's own pieces by default
 */
export async function eachLogits(runner, ids, visit, pieces) {
  const sequence = runner.open()
  try {
    let at = 0
    for (const n of pieces ?? [ids.length]) {
      const start = at
      await runner.feed(sequence, ids.slice(at, at + n), allLogits, async (r, from, to) =>
        rows(await r.read('logits'), start + from, to - from, visit),
      )
      at += n
    }
  } finally {
    runner.close(sequence)
  }
}

/** @param {import('@attune/tensor').Dense} logits @param {number} at @param {number} count @param {(row: Float32Array, at: number) => void} visit */
export function rows({ data, shape }, at, count, visit) {
  const width = shape[1]
  for (let i = 0; i < count; i++) visit(/** @type {Float32Array} */ (data).subarray(i * width, (i + 1) * width), at + i)
}

/** A short name for exact bits. @param {ArrayBufferView[]} parts */
export function bits(parts) {
  const hash = createHash('sha256')
  for (const p of parts) hash.update(new Uint8Array(p.buffer, p.byteOffset, p.byteLength))
  return hash.digest('hex').slice(0, 16)
}

/** @param {ArrayLike<number>} row */
export function statistics(row) {
  let top = Number.NEGATIVE_INFINITY
  let sum = 0
  for (let i = 0; i < row.length; i++) {
    top = Math.max(top, row[i])
    sum += row[i]
  }
  const mean = sum / row.length
  let exps = 0
  let squares = 0
  for (let i = 0; i < row.length; i++) {
    exps += Math.exp(row[i] - top)
    squares += (row[i] - mean) ** 2
  }
  return { logSumExp: top + Math.log(exps), mean, std: Math.sqrt(squares / row.length) }
}

/** @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
export function largestDifference(a, b) {
  let d = 0
  for (let i = 0; i < a.length; i++) d = Math.max(d, Math.abs(a[i] - b[i]))
  return d
}
