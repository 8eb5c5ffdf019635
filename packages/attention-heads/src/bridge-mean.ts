import { identity, matrix } from '@attune/linalg'
import type { Method } from './bridge-parts.ts'
import { groupsOf } from './head-layout.ts'
import { mixHeads } from './head-mix.ts'
import { putBlock } from './head-moments.ts'

/** Each target head is the mean of the source heads of its group. Ainslie et al. 2023, section 2.1. */
export const mean: Method = {
  name: 'mean',
  exactness: 'approximate',
  paper: 'https://arxiv.org/abs/2305.13245',
  why(from, to) {
    const groups = groupsOf(from, to)
    return typeof groups === 'string' ? groups : undefined
  },
  async params(from, to, { params }) {
    const groups = groupsOf(from, to) as number[]
    const { headDim: d } = from
    const pool = matrix(to.kvHeads * d, from.kvHeads * d)
    groups.forEach((g, i) => putBlock(pool, g, i, identity(d), 1 / groups.filter(x => x === g).length))
    return mixHeads(params, from, { keys: pool, values: pool })
  },
}
