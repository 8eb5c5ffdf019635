import { type Matrix, svd } from '@attune/linalg'
import type { HeadLayout } from './head-layout.ts'
import { block, trace } from './head-moments.ts'
import { type Pairs, pairMoments } from './rotary-pairs.ts'

/** Which source heads share a target head, and the query head at each place that follows from it. */
export interface Grouping {
  /** Target head of each source head. */
  readonly groups: readonly number[]
  /** Source query head at each place of the target. */
  readonly order: readonly number[]
}

/** The grouping the maps say, queries left in place. */
export const asGiven = (from: HeadLayout, groups: readonly number[]): Grouping => ({ groups, order: from.map.map((_, h) => h) })

/**
 * Source heads that resemble each other together: similarity is what is left of two heads' energy when one is turned onto the other,
 * for values and keys. Swaps of heads with equally many queries are taken while they help, from the given grouping and `restarts`
 * random ones. Ainslie-like equal groups stay equal, so the map of the target is kept and query heads move instead (an exact change).
 */
export function regrouped(
  from: HeadLayout,
  to: HeadLayout,
  given: readonly number[],
  moments: { values: Matrix; keys: Matrix; pairs: Pairs | undefined },
  seed: number,
  restarts = 20,
): Grouping {
  const alike = similarities(from, moments)
  const queries = Array.from({ length: from.kvHeads }, (_, g) => from.map.filter(x => x === g).length)
  const random = generator(seed)
  let best = climb([...given], alike, queries)
  for (let i = 0; i < restarts; i++) {
    const next = climb(shuffled(given, queries, random), alike, queries)
    if (next.score > best.score + 1e-9) best = next
  }
  return { groups: best.groups, order: orderOf(from, to, best.groups) }
}

/** Places take the query heads of their group in ascending order. */
function orderOf(from: HeadLayout, to: HeadLayout, groups: readonly number[]): number[] {
  const waiting = Array.from({ length: to.kvHeads }, (_, g) => from.map.flatMap((source, h) => (groups[source] === g ? [h] : [])))
  return to.map.map(g => waiting[g].shift()!)
}

function similarities(from: HeadLayout, { values, keys, pairs }: Parameters<typeof regrouped>[3]): Float64Array {
  const n = from.kvHeads
  const out = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++)
      out[i * n + j] = out[j * n + i] = alikeness(values, i, j, from.headDim) + alikeness(keys, i, j, from.headDim, pairs)
  return out
}

/** 1 for heads equal up to a turn that their readers can undo, 0 for unrelated ones. */
function alikeness(m: Matrix, i: number, j: number, d: number, pairs?: Pairs): number {
  const size = Math.sqrt(trace(block(m, i, i, d)) * trace(block(m, j, j, d)))
  if (size === 0) return 0
  const common = pairs
    ? pairs.reduce((sum, pair) => {
        const { re, im } = pairMoments(m, [i, j], d, pair)
        return sum + Math.hypot(re.data[1], im.data[1])
      }, 0)
    : svd(block(m, i, j, d)).s.reduce((a, b) => a + b, 0)
  return common / size
}

function climb(groups: number[], alike: Float64Array, queries: readonly number[]): { groups: number[]; score: number } {
  const n = groups.length
  const pull = (head: number, group: number) => {
    let s = 0
    for (let k = 0; k < n; k++) if (k !== head && groups[k] === group) s += alike[head * n + k]
    return s
  }
  for (let improved = true; improved; ) {
    improved = false
    for (let i = 0; i < n; i++)
      for (let j = 0; j < i; j++) {
        const [a, b] = [groups[i], groups[j]]
        if (a === b || queries[i] !== queries[j]) continue
        const gain = pull(i, b) + pull(j, a) - 2 * alike[i * n + j] - pull(i, a) - pull(j, b)
        if (gain <= 1e-12) continue
        groups[i] = b
        groups[j] = a
        improved = true
      }
  }
  let score = 0
  for (let i = 0; i < n; i++) score += pull(i, groups[i]) / 2
  return { groups, score }
}

function shuffled(groups: readonly number[], queries: readonly number[], random: () => number): number[] {
  const out = [...groups]
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    if (queries[i] === queries[j]) [out[i], out[j]] = [out[j], out[i]]
  }
  return out
}

/** Numbers in [0, 1) from a seed, the same everywhere (mulberry32). */
export function generator(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
