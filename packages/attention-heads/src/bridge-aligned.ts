import { identity, type Matrix, matmul, matrix, nearestOrthogonal, transpose } from '@attune/linalg'
import { type Method, optionOf, whyRotary } from './bridge-parts.ts'
import { asGiven, regrouped } from './head-groups.ts'
import { groupsOf } from './head-layout.ts'
import { mixHeads, named } from './head-mix.ts'
import { block, momentsOf, putBlock } from './head-moments.ts'
import { complexScale, type Pairs, pairMoments, rotaryPairs } from './rotary-pairs.ts'

/**
 * Heads of a group are turned onto each other before their mean is taken (generalised Procrustes on calibration outputs); what reads
 * them turns back, so turning alone is exact. Values turn freely, keys by one angle per rotary pair. "Align heads", section 3.
 */
export const aligned: Method = {
  name: 'aligned',
  exactness: 'approximate',
  paper: 'https://arxiv.org/abs/2412.20677',
  needs: 'calibration',
  options: { regroup: [true, false] },
  why(from, to, { rotary }) {
    const groups = groupsOf(from, to)
    return typeof groups === 'string' ? groups : whyRotary(from, rotary)
  },
  async params(from, to, { params, calibration, rotary, seed, options }) {
    const { headDim: d, kvHeads, dim } = from
    const { k, v } = named(params)
    const pairs = rotary && rotaryPairs(d, rotary)
    const moments = { gram: calibration!.gram, dim }
    const [keys, values] = [await momentsOf(k, moments), await momentsOf(v, moments)]
    const given = groupsOf(from, to) as number[]
    const { groups, order } =
      optionOf<boolean>(aligned, 'regroup', options) && to.kvHeads > 1
        ? regrouped(from, to, given, { values, keys, pairs }, seed)
        : asGiven(from, given)
    const turn = turnsOf({ keys, values, pairs }, groups, to.kvHeads, d)
    const pool = (turns: readonly Matrix[]) => {
      const out = matrix(to.kvHeads * d, kvHeads * d)
      groups.forEach((g, i) => putBlock(out, g, i, transpose(turns[i]), 1 / groups.filter(x => x === g).length))
      return out
    }
    const back = turn.keys.map(transpose)
    return mixHeads(params, from, {
      order,
      keys: pool(turn.keys),
      values: pool(turn.values),
      queries: order.map(h => back[from.map[h]]),
      outputs: order.map(h => turn.values[from.map[h]]),
    })
  },
}

/** The turn (d, d) of each source head onto its group's mean: rows of the head become turnᵀ · rows. */
export function turnsOf(
  { keys, values, pairs }: { keys: Matrix; values: Matrix; pairs: Pairs | undefined },
  groups: readonly number[],
  count: number,
  d: number,
): { keys: Matrix[]; values: Matrix[] } {
  const out = { keys: groups.map(() => identity(d)), values: groups.map(() => identity(d)) }
  for (let g = 0; g < count; g++) {
    const heads = groups.flatMap((x, i) => (x === g ? [i] : []))
    const put = (to: Matrix[], turns: readonly Matrix[]) => heads.forEach((h, i) => (to[h] = turns[i]))
    put(out.values, orthogonal(values, heads, d))
    put(out.keys, pairs ? phases(keys, heads, d, pairs) : orthogonal(keys, heads, d))
  }
  return out
}

const ROUNDS = 100
const STOP = 1e-5

/** Orthogonal Q_h that bring the V_h Q_h together, from the cross moments V_iᵀ V_j alone. */
function orthogonal(m: Matrix, heads: readonly number[], d: number): Matrix[] {
  const cross = heads.map(i => heads.map(j => block(m, i, j, d)))
  let turns = heads.map((_, i) => nearestOrthogonal(cross[i][0]))
  let last = -Infinity
  for (let round = 0; round < ROUNDS; round++) {
    // Σ_j V_iᵀ V_j Q_j: each head against the sum of all.
    const sums = heads.map((_, i) => heads.map((_, j) => matmul(cross[i][j], turns[j])).reduce(add))
    const together = sums.reduce((n, s, i) => n + dot(turns[i], s), 0)
    if (together <= last * (1 + STOP)) break
    last = together
    turns = sums.map(s => nearestOrthogonal(s))
  }
  return turns
}

/** The same with one angle per pair, the only turns that commute with rotary positions. */
function phases(m: Matrix, heads: readonly number[], d: number, pairs: Pairs): Matrix[] {
  const re = heads.map(() => new Float64Array(pairs.length).fill(1))
  const im = heads.map(() => new Float64Array(pairs.length))
  pairs.forEach((pair, f) => {
    const c = pairMoments(m, heads, d, pair)
    const t = heads.length
    let u = heads.map((_, i) => unit(c.re.data[i * t], -c.im.data[i * t]))
    let last = -Infinity
    for (let round = 0; round < ROUNDS; round++) {
      // Σ_j conj(z_i) z_j u_j
      const sums = heads.map((_, i) => {
        let [x, y] = [0, 0]
        for (let j = 0; j < t; j++) {
          const [a, b] = [c.re.data[i * t + j], -c.im.data[i * t + j]]
          x += a * u[j][0] - b * u[j][1]
          y += a * u[j][1] + b * u[j][0]
        }
        return [x, y] as const
      })
      const together = sums.reduce((n, [x, y], i) => n + x * u[i][0] + y * u[i][1], 0)
      if (together <= last * (1 + STOP)) break
      last = together
      u = sums.map(([x, y]) => unit(x, y))
    }
    u.forEach(([x, y], i) => {
      re[i][f] = x
      im[i][f] = -y // as a turn: rows become turnᵀ · rows, so the turn itself is the conjugate
    })
  })
  return heads.map((_, i) => complexScale(pairs, re[i], im[i]))
}

const unit = (x: number, y: number): readonly [number, number] => {
  const n = Math.hypot(x, y)
  return n > 0 ? [x / n, y / n] : [1, 0]
}
function add(a: Matrix, b: Matrix): Matrix {
  return { ...a, data: a.data.map((x, i) => x + b.data[i]) }
}
const dot = (a: Matrix, b: Matrix): number => a.data.reduce((n, x, i) => n + x * b.data[i], 0)
