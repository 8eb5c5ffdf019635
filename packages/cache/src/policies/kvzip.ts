import { allowed, type Budget, type Kept, type Observed, type ObservedLayer } from '../policy.ts'
import { bestOfAll } from './adakv.ts'
import { partOf } from './scores.ts'

/** A policy that runs the model some more before it decides: on copies of the sequence, by ordinary steps. */
export interface SessionPolicy {
  readonly name: string
  readonly about: { readonly title: string; readonly paper?: string; readonly family?: string; readonly oracle?: string }
  /** What `replay` has to show. */
  readonly observes: { readonly queries: 'all'; readonly parts: readonly string[] }
  plan(session: ReplayedSession, budget: Budget): Promise<Kept>
}
export interface ReplayedSession {
  /** Tokens of the sequence. */
  readonly ids: ArrayLike<number>
  /** Feeds tokens to a copy of the sequence and shows their queries and every stored row, those of the tokens last. */
  replay(ids: readonly number[]): Promise<Observed>
}

export interface KvZipOptions {
  /** Tokens of "Repeat the previous context exactly.", and of what asks for the answer. */
  readonly question?: readonly number[]
  readonly suffix?: readonly number[]
  /** Tokens of "Repeat the part of the previous context exactly, starting with". */
  readonly again?: readonly number[]
  /** Tokens repeated at a time. */
  readonly chunk?: number
  /** First rows that always stay. */
  readonly sinks?: number
  /** Every layer keeps as much; else the best of all layers stay. */
  readonly layerwise?: boolean
  readonly keys?: string
}

/** Keeps what the model reads when it repeats the context: whatever is asked later is served. https://arxiv.org/abs/2505.23416 */
export const kvZip = ({
  question = [],
  suffix = [],
  again = question,
  chunk = 2048,
  sinks = 4,
  layerwise = false,
  keys = 'k',
}: KvZipOptions = {}): SessionPolicy => ({
  name: 'kvzip',
  about: { title: 'KVzip', paper: 'https://arxiv.org/abs/2505.23416', family: 'session', oracle: 'kvpress' },
  observes: { queries: 'all', parts: [keys] },
  async plan({ ids, replay }, budget) {
    const all = Array.from(ids)
    let scores: Float32Array[][] = []
    for (let from = 0; from < all.length; from += chunk) {
      const part = all.slice(from, from + chunk)
      const asked = from === 0 ? question : [...again, ...all.slice(Math.max(0, from - 8), from)]
      const fed = [...asked, ...suffix, ...part]
      const { layers } = await replay(fed)
      if (from === 0) scores = layers.map(l => l.rows.map(() => new Float32Array(all.length)))
      for (const [i, layer] of layers.entries())
        for (const [h, own] of strongest(
          layer,
          partOf('kvzip', layer, keys),
          from,
          part.length,
          fed.length,
          Math.min(sinks, from),
        ).entries())
          scores[i][h].set(own, from)
    }
    for (const head of scores.flat()) head.fill(Number.POSITIVE_INFINITY, 0, sinks)
    const count = allowed(budget, all.length)
    if (layerwise) return scores.map(own => bestOfAll(own, count * own.length))
    const kept = bestOfAll(scores.flat(), count * scores.flat().length)
    return scores.map((own, i) => own.map((_, h) => kept[scores.slice(0, i).flat().length + h]))
  },
})

/**
 * Per key head, the largest weight each row [from, from + count) has under any of the last `fed` queries, when these attend to the first
 * `sinks` rows, to those rows and to each other.
 */
function strongest(
  { queries, rows }: ObservedLayer,
  keys: readonly Float32Array[],
  from: number,
  count: number,
  fed: number,
  sinks: number,
): Float32Array[] {
  const { data, width, keyHeads, count: seen } = queries!
  const heads = keyHeads.length
  return keys.map((stored, kv) => {
    const total = rows[kv].length
    const slots = [...range(0, sinks), ...range(from, from + count), ...range(total - fed, total)]
    const near = Float32Array.from({ length: slots.length * width }, (_, i) => stored[slots[Math.floor(i / width)] * width + (i % width)])
    const best = new Float32Array(count)
    const score = new Float32Array(slots.length)
    for (const [h, own] of keyHeads.entries()) {
      if (own !== kv) continue
      for (let t = 0; t < fed; t++) {
        const q = data.subarray(((seen - fed + t) * heads + h) * width, ((seen - fed + t) * heads + h + 1) * width)
        const visible = sinks + count + t + 1
        const sum = softmax(q, near, score, visible, width)
        for (let j = 0; j < count; j++) best[j] = Math.max(best[j], score[sinks + j] / sum)
      }
    }
    return best
  })
}

/** Puts exp(q·k/√d − max) of the first `n` keys into `out`; returns their sum. */
function softmax(q: Float32Array, keys: Float32Array, out: Float32Array, n: number, width: number): number {
  const scale = width ** -0.5
  let top = Number.NEGATIVE_INFINITY
  for (let j = 0; j < n; j++) {
    let dot = 0
    for (let d = 0, at = j * width; d < width; d++, at++) dot += q[d] * keys[at]
    out[j] = dot * scale
    if (out[j] > top) top = out[j]
  }
  let sum = 0
  for (let j = 0; j < n; j++) sum += out[j] = Math.exp(out[j] - top)
  return sum
}
const range = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
