import { AttuneError } from '@attune/expr'
import { expectFinite, expectMatrix, type Matrix } from './matrix.ts'

/**
 * The columns, one per row and all different, of least total cost (of greatest with `maximize`); rows <= cols.
 * Shortest augmenting paths with potentials (Jonker and Volgenant 1987), O(rows^2 cols). Throws ERR_SHAPE, ERR_ARGUMENT (not finite).
 */
export function assignment(cost: Matrix, { maximize = false } = {}): Int32Array {
  expectMatrix('assignment', 'cost', cost)
  expectFinite('assignment', 'cost', cost)
  const { rows, cols, data } = cost
  if (rows > cols) throw new AttuneError('ERR_SHAPE', `assignment: ${rows} rows cannot have ${cols} different columns`, { rows, cols })
  const sign = maximize ? -1 : 1
  const [u, v] = [new Float64Array(rows), new Float64Array(cols)]
  const rowOf = new Int32Array(cols).fill(-1)
  const colOf = new Int32Array(rows).fill(-1)
  for (let start = 0; start < rows; start++) {
    const distance = new Float64Array(cols).fill(Infinity)
    const from = new Int32Array(cols)
    const done = new Uint8Array(cols)
    let row = start
    let reached = 0
    let sink = -1
    while (sink < 0) {
      let next = -1
      for (let j = 0; j < cols; j++) {
        if (done[j]) continue
        const d = reached + sign * data[row * cols + j] - u[row] - v[j]
        if (d < distance[j]) {
          distance[j] = d
          from[j] = row
        }
        if (next < 0 || distance[j] < distance[next] || (distance[j] === distance[next] && rowOf[j] < 0 && rowOf[next] >= 0)) next = j
      }
      reached = distance[next]
      done[next] = 1
      if (rowOf[next] < 0) sink = next
      else row = rowOf[next]
    }
    u[start] += reached
    for (let j = 0; j < cols; j++) {
      if (!done[j]) continue
      if (rowOf[j] >= 0) u[rowOf[j]] += reached - distance[j]
      v[j] -= reached - distance[j]
    }
    for (let j = sink, i = -1; i !== start; ) {
      i = from[j]
      rowOf[j] = i
      const before = colOf[i]
      colOf[i] = j
      j = before
    }
  }
  return colOf
}
