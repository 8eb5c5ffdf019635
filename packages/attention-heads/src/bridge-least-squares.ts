import { eigh, eighHermitian, type Matrix, matmul, matrix, topEigen, transpose } from '@attune/linalg'
import { decoded } from '@attune/nn'
import { type Method, optionOf, whyRotary } from './bridge-parts.ts'
import { asGiven, regrouped } from './head-groups.ts'
import { groupsOf, type HeadLayout } from './head-layout.ts'
import { columns, mixHeads, named } from './head-mix.ts'
import { blocks, energiesOf, momentsOf, trace } from './head-moments.ts'
import { complexScale, type Pairs, pairMoments, rotaryPairs } from './rotary-pairs.ts'

/**
 * The best shared head for a group when each head may read it through any matrix (values; absorbed in o) and any complex number per
 * rotary pair (keys; absorbed in q): top eigenvectors of the group's stacked second moments. Values as SVD-a of Yu et al. 2024.
 * Options weigh the squares by what reads them: values by the energy of o, keys by the energy of the queries.
 */
export const leastSquares: Method = {
  name: 'least-squares',
  exactness: 'least-squares',
  paper: 'https://arxiv.org/abs/2406.07056',
  needs: 'calibration',
  options: { regroup: [true, false], keys: ['query-energy', 'plain'], values: ['output-energy', 'plain'] },
  why(from, to, { rotary }) {
    const groups = groupsOf(from, to)
    return typeof groups === 'string' ? groups : whyRotary(from, rotary)
  },
  async params(from, to, { params, calibration, rotary, seed, options, report }) {
    const { headDim: d, dim } = from
    const { q, k, v, o } = named(params)
    const moments = { gram: calibration!.gram, dim }
    const pairs = rotary && rotaryPairs(d, rotary)
    const [keys, values] = [await momentsOf(k, moments), await momentsOf(v, moments)]
    const given = groupsOf(from, to) as number[]
    const { groups, order } =
      optionOf<boolean>(leastSquares, 'regroup', options) && to.kvHeads > 1
        ? regrouped(from, to, given, { values, keys, pairs }, seed)
        : asGiven(from, given)
    const energy = optionOf(leastSquares, 'keys', options) === 'plain' ? undefined : await energiesOf(q, moments)
    const output = optionOf(leastSquares, 'values', options) === 'plain' ? undefined : await decoded(o.weight)
    const share = {
      keys: pairs ? sharedPairs(keys, from, groups, to.kvHeads, pairs, energy) : sharedFull(keys, from, groups, to.kvHeads),
      values: sharedFull(values, from, groups, to.kvHeads, output && (g => outputEnergy(output, from, g))),
    }
    report?.({ droppedKeyEnergy: share.keys.dropped, droppedValueEnergy: share.values.dropped })
    const back = share.keys.through.map(transpose)
    return mixHeads(params, from, {
      order,
      keys: share.keys.from,
      values: share.values.from,
      queries: order.map(h => back[from.map[h]]),
      outputs: order.map(h => share.values.through[from.map[h]]),
    })
  },
}

interface Shared {
  /** Shared rows from source rows (kvHeads' · d, kvHeads · d). */
  readonly from: Matrix
  /** Per source head: its rows ≈ through · shared rows (d, d). */
  readonly through: Matrix[]
  /** Share of the (weighed) energy that is lost. */
  readonly dropped: number
}

const membersOf = (groups: readonly number[], g: number): number[] => groups.flatMap((x, i) => (x === g ? [i] : []))

/** Any matrix may read the shared head: principal components of the group's heads, weighed by `weight(head)` (d, d) where given. */
function sharedFull(
  m: Matrix,
  { headDim: d, kvHeads }: HeadLayout,
  groups: readonly number[],
  count: number,
  weight?: (head: number) => Matrix,
): Shared {
  const from = matrix(count * d, kvHeads * d)
  const through: Matrix[] = []
  let [kept, all] = [0, 0]
  for (let g = 0; g < count; g++) {
    const heads = membersOf(groups, g)
    const roots = weight && heads.map(h => rootsOf(weight(h)))
    const c = blocks(m, heads, d)
    const weighed = roots
      ? sandwich(
          c,
          roots.map(r => r.root),
          d,
        )
      : c
    const { values, vectors } = topEigen(weighed, d)
    kept += values.reduce((a, b) => a + b, 0)
    all += trace(weighed)
    heads.forEach((h, i) => {
      const own = rowsOf(vectors, i * d, d) // (d, d): rows of head h, columns are components
      const into = roots ? matmul(roots[i].root, own) : own
      for (let r = 0; r < d; r++) for (let s = 0; s < d; s++) from.data[(g * d + s) * kvHeads * d + h * d + r] = into.data[r * d + s]
      through[h] = roots ? matmul(roots[i].inverse, own) : own
    })
  }
  return { from, through, dropped: all > 0 ? Math.max(0, 1 - kept / all) : 0 }
}

/** One complex number per pair may read the shared key: the top eigenvector of the pair's moments across the group. */
function sharedPairs(
  m: Matrix,
  { headDim: d, kvHeads, map }: HeadLayout,
  groups: readonly number[],
  count: number,
  pairs: Pairs,
  energy?: Float64Array,
): Shared {
  const from = matrix(count * d, kvHeads * d)
  const re = groups.map(() => new Float64Array(pairs.length))
  const im = groups.map(() => new Float64Array(pairs.length))
  let [kept, all] = [0, 0]
  for (let g = 0; g < count; g++) {
    const heads = membersOf(groups, g)
    const t = heads.length
    pairs.forEach((pair, f) => {
      const scale = scalesOf(heads, map, d, pair, energy)
      const c = pairMoments(m, heads, d, pair)
      for (const part of [c.re, c.im]) part.data.forEach((_, at) => (part.data[at] *= scale[Math.floor(at / t)] * scale[at % t]))
      const { values, vectors } = eighHermitian(c, { count: 1 })
      kept += values[0]
      all += trace(c.re)
      heads.forEach((h, i) => {
        const [x, y] = [vectors.re.data[i], vectors.im.data[i]]
        const into = complexScale([[0, 1]], [x * scale[i]], [-y * scale[i]]).data
        pair.forEach((row, r) => pair.forEach((col, s) => (from.data[(g * d + row) * kvHeads * d + h * d + col] = into[r * 2 + s])))
        re[h][f] = x / scale[i]
        im[h][f] = y / scale[i]
      })
    })
  }
  return { from, through: groups.map((_, h) => complexScale(pairs, re[h], im[h])), dropped: all > 0 ? Math.max(0, 1 - kept / all) : 0 }
}

/** Square roots of the energy of the queries that read a pair of each head. */
function scalesOf(heads: readonly number[], map: readonly number[], d: number, pair: readonly number[], energy?: Float64Array): number[] {
  if (!energy) return heads.map(() => 1)
  const sums = heads.map(h => map.reduce((n, g, query) => (g === h ? n + pair.reduce((e, i) => e + energy[query * d + i], 0) : n), 0))
  const floor = 1e-6 * Math.max(...sums)
  return floor > 0 ? sums.map(e => Math.sqrt(Math.max(e, floor))) : heads.map(() => 1)
}

/** Σ WᵀW over the columns W (dim, d) of o that read a source head. */
function outputEnergy(o: Float32Array, { dim, heads, headDim: d, map }: HeadLayout, head: number): Matrix {
  const sum = matrix(d, d)
  map.forEach((g, h) => {
    if (g !== head) return
    const w = { rows: dim, cols: d, data: columns(o, dim, heads * d, h * d, d) }
    matmul(w, w, { transA: true }).data.forEach((x, i) => (sum.data[i] += x))
  })
  return sum
}

/** Damping keeps what no head reads from being divided by zero. */
const DAMP = 1e-3

function rootsOf(m: Matrix): { root: Matrix; inverse: Matrix } {
  const n = m.rows
  const symmetric = { ...m, data: m.data.map((x, i) => (x + m.data[(i % n) * n + Math.floor(i / n)]) / 2) }
  const { values, vectors } = eigh(symmetric)
  const floor = (DAMP * Math.max(trace(m), Number.MIN_VALUE)) / n
  const power = (p: number) => {
    const scaled = { ...vectors, data: vectors.data.map((x, i) => x * (Math.max(values[i % n], 0) + floor) ** p) }
    return matmul(scaled, vectors, { transB: true })
  }
  return { root: power(0.5), inverse: power(-0.5) }
}

/** blockdiag(roots) · c · blockdiag(roots), exactly symmetric. */
function sandwich(c: Matrix, roots: readonly Matrix[], d: number): Matrix {
  const n = c.rows
  const root = matrix(n, n)
  roots.forEach((r, i) => {
    for (let a = 0; a < d; a++) root.data.set(r.data.subarray(a * d, (a + 1) * d), (i * d + a) * n + i * d)
  })
  const out = matmul(matmul(root, c), root)
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) out.data[i * n + j] = out.data[j * n + i]
  return out
}

const rowsOf = (m: Matrix, from: number, count: number): Matrix => ({
  rows: count,
  cols: m.cols,
  data: m.data.slice(from * m.cols, (from + count) * m.cols),
})
