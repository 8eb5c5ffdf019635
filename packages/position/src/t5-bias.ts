import { type Expr, h, k, q, s, table } from '@attune/expr'
import { gatherRows, type Tensor, tensor } from '@attune/tensor'

/** A learned number per head and bucket of distances, added to the score. Raffel et al. 2019, https://arxiv.org/abs/1910.10683 */
export interface T5BiasSpec {
  readonly kind: 't5'
  readonly heads: number
  readonly buckets: number
  /** From this distance on all share the last bucket. */
  readonly maxDistance: number
  /** Keys before and after a query have buckets of their own (encoders). */
  readonly bidirectional: boolean
  /** The layer whose table is read; this layer has its own by default. */
  readonly layer?: number
}

/** Buckets of the distances key − query = −maxDistance … maxDistance, or of query − key = 0 … maxDistance; float32 as transformers computes them. */
export function t5Buckets({
  buckets,
  maxDistance,
  bidirectional,
}: Pick<T5BiasSpec, 'buckets' | 'maxDistance' | 'bidirectional'>): Int32Array {
  const own = bidirectional ? Math.floor(buckets / 2) : buckets
  const exact = Math.floor(own / 2)
  const f = Math.fround
  const span = f(Math.log(maxDistance / exact))
  const bucket = (distance: number): number => {
    if (distance < exact) return distance
    const log = f(Math.log(f(distance / exact)))
    return Math.min(own - 1, exact + Math.trunc(f(f(log / span) * (own - exact))))
  }
  if (!bidirectional) return Int32Array.from({ length: maxDistance + 1 }, (_, i) => bucket(i))
  return Int32Array.from({ length: 2 * maxDistance + 1 }, (_, i) => bucket(Math.abs(i - maxDistance)) + (i > maxDistance ? own : 0))
}

const made = new WeakMap<Tensor, WeakMap<Tensor, Map<string, Expr>>>()

/** The score with the bias of a learned table (buckets, heads) added. Layers of a step, known by its positions, share what is made of a table. */
export function t5Score(spec: T5BiasSpec, learned: Tensor, positions: Tensor): Expr {
  const { maxDistance, bidirectional } = spec
  const ofStep = made.get(positions) ?? new WeakMap<Tensor, Map<string, Expr>>()
  const scores = ofStep.get(learned) ?? new Map<string, Expr>()
  made.set(positions, ofStep.set(learned, scores))
  const key = JSON.stringify([spec.buckets, maxDistance, bidirectional])
  let score = scores.get(key)
  if (!score) {
    const ids = t5Buckets(spec)
    const byDistance = gatherRows(learned, tensor(ids, [ids.length], 'i32')) // (distances, heads)
    const at = bidirectional
      ? k.position.sub(q.position).max(-maxDistance).min(maxDistance).add(maxDistance)
      : q.position.sub(k.position).max(0).min(maxDistance)
    scores.set(key, (score = s.add(table(byDistance, { dtype: 'f32', rank: 2 }).at(at, h))))
  }
  return score
}
