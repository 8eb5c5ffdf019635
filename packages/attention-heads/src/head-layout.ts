import { AttuneError } from '@attune/tensor'
import type { GqaConfig } from './gqa.ts'

/** Heads of a layer: which key-value head each query head reads. */
export interface HeadLayout {
  readonly dim: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Key-value head of each query head. */
  readonly map: readonly number[]
}

/** `heads` query heads over `kvHeads` in contiguous groups, as equal as can be. */
export const contiguous = (heads: number, kvHeads: number): number[] =>
  Array.from({ length: heads }, (_, h) => Math.floor((h * kvHeads) / heads))

export const headLayout = ({ dim, heads, kvHeads, headDim, headMap }: GqaConfig): HeadLayout => ({
  dim,
  heads,
  kvHeads,
  headDim,
  map: headMap ?? contiguous(heads, kvHeads),
})

/** The config that gives a map, without `headMap` where equal contiguous groups say the same. */
export function configOf(from: GqaConfig, map: readonly number[]): GqaConfig {
  const { headMap: _, ...rest } = from
  const kvHeads = Math.max(...map) + 1
  const plain = from.heads % kvHeads === 0 && contiguous(from.heads, kvHeads).every((g, h) => g === map[h])
  return plain ? { ...rest, kvHeads } : { ...rest, kvHeads, headMap: map }
}

/** A map of query heads to `kvHeads` that keeps the queries of a source head together (fewer heads) or splits them only among themselves (more). */
export function mapTo(from: HeadLayout, kvHeads: number): number[] {
  const { heads, map } = from
  if (!Number.isInteger(kvHeads) || kvHeads < 1 || kvHeads > heads)
    throw new AttuneError('ERR_ARGUMENT', `kvHeads must be a whole number from 1 to the ${heads} query heads, got ${kvHeads}`, {
      kvHeads,
      heads,
    })
  if (kvHeads === from.kvHeads) return [...map]
  if (kvHeads < from.kvHeads) return map.map(g => Math.floor((g * kvHeads) / from.kvHeads))
  return splitMap(from, kvHeads)
}

/** Checks a map given by the caller. */
export function checkMap(map: readonly number[], heads: number): readonly number[] {
  const kvHeads = Math.max(...map) + 1
  const missing = Array.from({ length: kvHeads }, (_, g) => g).find(g => !map.includes(g))
  if (map.length !== heads || map.some(g => !Number.isInteger(g) || g < 0) || missing !== undefined)
    throw new AttuneError(
      'ERR_ARGUMENT',
      `headMap must name a key head for each of the ${heads} query heads and use every number from 0 up; got [${map.join(', ')}]`,
      { headMap: map, heads },
    )
  return map
}

/** Target head of each source key-value head, or the reason why the target's map would part the queries of one. */
export function groupsOf(from: HeadLayout, to: HeadLayout): number[] | string {
  const groups = new Array<number>(from.kvHeads).fill(-1)
  for (const [h, g] of from.map.entries()) {
    if (groups[g] >= 0 && groups[g] !== to.map[h])
      return `query heads of source key head ${g} would read target heads ${groups[g]} and ${to.map[h]}; they must stay together`
    groups[g] = to.map[h]
  }
  return groups
}

/** Source key-value head of each target head, or the reason why one would have to hold two. */
export function originsOf(from: HeadLayout, to: HeadLayout): number[] | string {
  const origins = new Array<number>(to.kvHeads).fill(-1)
  for (const [h, g] of to.map.entries()) {
    if (origins[g] >= 0 && origins[g] !== from.map[h])
      return `target key head ${g} would have to be both source heads ${origins[g]} and ${from.map[h]}`
    origins[g] = from.map[h]
  }
  return origins
}

/** Source heads get target heads one by one, the one with most queries per target head next. */
function splitMap({ heads, map, kvHeads: sources }: HeadLayout, kvHeads: number): number[] {
  const queries = Array.from({ length: sources }, (_, g) => map.filter(x => x === g).length)
  const parts = queries.map(() => 1)
  for (let left = kvHeads - sources; left > 0; left--) {
    let best = -1
    for (let g = 0; g < sources; g++)
      if (parts[g] < queries[g] && (best < 0 || queries[g] / parts[g] > queries[best] / parts[best])) best = g
    parts[best]++
  }
  const first = parts.map((_, g) => parts.slice(0, g).reduce((a, b) => a + b, 0))
  const seen = new Array<number>(sources).fill(0)
  return Array.from({ length: heads }, (_, h) => first[map[h]] + Math.floor((seen[map[h]]++ * parts[map[h]]) / queries[map[h]]))
}
