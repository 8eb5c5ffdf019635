import { allowed, type EvictionPolicy, type ObservedLayer } from '../policy.ts'
import { bestOfAll } from './adakv.ts'
import { partOf } from './scores.ts'

export interface KvZipOptions {
  /** Tokens of "Repeat the previous context exactly.", and of what comes between a question and its answer. */
  readonly question?: readonly number[]
  readonly suffix?: readonly number[]
  /** Tokens of "Repeat the part of the previous context exactly, starting with". */
  readonly again?: readonly number[]
  /** Tokens repeated at a time. */
  readonly chunk?: number
  /** First rows that always stay. */
  readonly sinks?: number
  /** Every layer keeps as much; else the best rows of all layers stay. */
  readonly layerwise?: boolean
  /** The part that holds the keys. */
  readonly keys?: string
}

/** Words of the last piece that name where the next one starts. */
const OVERLAP = 8

/** Keeps what the model reads while it repeats its prompt, so that whatever is asked later is served. https://arxiv.org/abs/2505.23416 */
export const kvZip = ({ layerwise = false, sinks = 4, ...options }: KvZipOptions = {}): EvictionPolicy => ({
  name: 'kvzip',
  about: { title: 'KVzip', paper: 'https://arxiv.org/abs/2505.23416', family: 'session', oracle: 'kvpress: KVzipPress' },
  observes: {},
  after: 'prefill',
  rehearse: repetition({ sinks, ...options }),
  plan(observed, budget, rehearsed) {
    const prompt = rehearsed as Float32Array[][]
    const scores = observed.layers.map((layer, i) =>
      layer.rows.map((rows, h) => {
        // Rows before the prompt stay; so do the first.
        const own = new Float32Array(rows.length).fill(Number.POSITIVE_INFINITY)
        own.set(prompt[i][h], rows.length - prompt[i][h].length)
        return own.fill(Number.POSITIVE_INFINITY, 0, sinks)
      }),
    )
    const count = (heads: readonly Float32Array[]) => heads.reduce((n, { length }) => n + allowed(budget, length, observed.rows), 0)
    if (layerwise) return scores.map(own => bestOfAll(own, count(own)))
    const kept = bestOfAll(scores.flat(), count(scores.flat()))
    return scores.map((own, i) => own.map((_, h) => kept[scores.slice(0, i).flat().length + h]))
  },
})

/** Lets the model repeat its prompt: a score per row of the prompt, layer and key head. */
export function repetition({
  question = [],
  suffix = [],
  again = question,
  chunk = 256,
  sinks = 4,
  keys = 'k',
}: KvZipOptions = {}): Required<EvictionPolicy>['rehearse'] {
  return {
    observes: { queries: chunk + suffix.length + Math.max(question.length, again.length + OVERLAP), parts: [keys] },
    async run({ ids, from, replay }): Promise<Float32Array[][]> {
      let scores: Float32Array[][] = []
      for (let at = 0; at < ids.length; at += chunk) {
        const part = ids.slice(at, at + chunk)
        const asked = at === 0 ? question : [...again, ...ids.slice(Math.max(0, at - OVERLAP), at)]
        const fed = [...asked, ...suffix, ...part]
        const { layers } = await replay(fed)
        if (at === 0) scores = layers.map(l => l.rows.map(() => new Float32Array(ids.length)))
        for (const [i, layer] of layers.entries()) {
          const stored = partOf('kvzip', layer, keys)
          for (const [h, own] of scores[i].entries())
            own.set(strongest(layer, stored[h], h, { from: from + at, count: part.length, fed: fed.length, sinks }), at)
        }
      }
      return scores
    },
  }
}

interface Piece {
  /** The piece's first row, and how many it has. */
  readonly from: number
  readonly count: number
  /** Tokens fed to repeat it: the last rows. */
  readonly fed: number
  readonly sinks: number
}

/** The largest weight each row of a piece has under any query that repeats it, when these see the first rows, the piece and each other. */
function strongest({ queries, rows }: ObservedLayer, stored: Float32Array, head: number, piece: Piece): Float32Array {
  const { data, width, keyHeads, count: seen } = queries!
  const { from, count, fed } = piece
  const sinks = Math.min(piece.sinks, from)
  const total = rows[head].length
  const near = joined(width, stored, [0, sinks], [total - fed - (rows[head][total - fed] - from), count], [total - fed, fed])
  const best = new Float32Array(count)
  const weight = new Float32Array(sinks + count + fed)
  for (let h = 0; h < keyHeads.length; h++) {
    if (keyHeads[h] !== head) continue
    for (let t = 0; t < fed; t++) {
      const at = ((seen - fed + t) * keyHeads.length + h) * width
      const sum = exponentials(data.subarray(at, at + width), near, weight, sinks + count + t + 1)
      for (let j = 0; j < count; j++) best[j] = Math.max(best[j], weight[sinks + j] / sum)
    }
  }
  return best
}

/** Runs of rows [start, count], one after the other. */
function joined(width: number, rows: Float32Array, ...runs: readonly [number, number][]): Float32Array {
  const out = new Float32Array(width * runs.reduce((n, [, count]) => n + count, 0))
  let at = 0
  for (const [start, count] of runs) {
    out.set(rows.subarray(start * width, (start + count) * width), at)
    at += count * width
  }
  return out
}

/** Puts exp(q·k/√d − max) of the first `n` keys into `out`; returns their sum. */
function exponentials(q: Float32Array, keys: Float32Array, out: Float32Array, n: number): number {
  const width = q.length
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
