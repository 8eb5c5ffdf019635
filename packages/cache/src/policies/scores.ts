import { AttuneError } from '@attune/tensor'
import { allowed, type EvictionPolicy, type Observed, type ObservedLayer } from '../policy.ts'

/** A policy that keeps the rows of highest score, as many in every head. Others take its scores and share rows out differently. */
export interface ScorePolicy extends EvictionPolicy {
  /** A score per slot of each key head of a layer; Infinity keeps a row whatever the others have. */
  scores(observed: Observed, layer: number): readonly Float32Array[]
}

export function scorePolicy(parts: Omit<ScorePolicy, 'plan'>): ScorePolicy {
  return {
    ...parts,
    plan: (observed, budget) =>
      observed.layers.map((layer, i) => {
        const scores = parts.scores(observed, i)
        return layer.rows.map((rows, h) => best(scores[h], allowed(budget, rows.length, observed.rows)))
      }),
  }
}

/** Slots of the `count` highest scores, ascending; of equal scores the earlier slot. */
export function best(scores: ArrayLike<number>, count: number): Int32Array {
  const order = Int32Array.from({ length: scores.length }, (_, i) => i)
  if (count >= scores.length) return order
  order.sort((a, b) => (scores[a] === scores[b] ? a - b : scores[b] > scores[a] ? 1 : -1))
  return order.slice(0, Math.max(0, count)).sort()
}

/** Slots [from, to). */
export const slotsBetween = (from: number, to: number): Int32Array =>
  Int32Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)

/** Slots of a head whose row is among the sequence's last `count`: how many of its last slots. */
export function recentSlots(rows: Int32Array, total: number, count: number): number {
  let n = 0
  while (n < rows.length && rows[rows.length - 1 - n] >= total - count) n++
  return n
}

/** The weights a policy asked for. Errors: `ERR_ARGUMENT` when nothing was observed. */
export function massOf(policy: string, layer: ObservedLayer): readonly Float32Array[] {
  if (!layer.mass) throw new AttuneError('ERR_ARGUMENT', `${policy} needs observed weights and was given none`, { policy })
  return layer.mass
}
/** Stored rows of a part (slots, width) of each head. */
export function partOf(policy: string, layer: ObservedLayer, part: string): readonly Float32Array[] {
  const rows = layer.parts?.[part]
  if (!rows) throw new AttuneError('ERR_ARGUMENT', `${policy} needs the stored '${part}' and was given none`, { policy, part })
  return rows
}
