import { allowed, type EvictionPolicy } from '../policy.ts'
import { slotsBetween } from './scores.ts'

export interface StreamingLlmOptions {
  /** First rows that always stay. */
  readonly sinks?: number
  /** Acts again whenever this many rows have come. */
  readonly after?: 'prefill' | number
  /** Rows that stay count positions anew, as if what left had never been there. */
  readonly rerotate?: boolean
}

/** The first rows, which soak up weight that no row wants, and the latest ones. https://arxiv.org/abs/2309.17453 */
export const streamingLlm = ({ sinks = 4, after = 'prefill', rerotate = true }: StreamingLlmOptions = {}): EvictionPolicy => ({
  name: 'streaming-llm',
  about: {
    title: 'StreamingLLM',
    paper: 'https://arxiv.org/abs/2309.17453',
    family: 'place',
    oracle: 'kvpress: StreamingLLMPress, KeyRerotationPress',
  },
  observes: {},
  after,
  rerotate,
  plan: (observed, budget) =>
    observed.layers.map(({ rows }) =>
      rows.map(({ length }) => sinksAndRecent(length, sinks, allowed(budget, length, observed.rows) - sinks)),
    ),
})

/** The first `sinks` and last `recent` of `length` slots. */
export function sinksAndRecent(length: number, sinks: number, recent: number): Int32Array {
  const first = Math.min(sinks, length)
  return Int32Array.from([...slotsBetween(0, first), ...slotsBetween(Math.max(first, length - Math.max(0, recent)), length)])
}
