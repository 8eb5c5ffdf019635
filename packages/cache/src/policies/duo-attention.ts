import { allowed, type EvictionPolicy } from '../policy.ts'
import { repetitionGates } from './head-roles.ts'
import { type KvZipOptions, repetition } from './kvzip.ts'
import { best, slotsBetween } from './scores.ts'
import { sinksAndRecent } from './streaming-llm.ts'

export interface DuoAttentionOptions {
  /** A gate per layer and key head, high for heads that retrieve; without, how much each head reads while the model repeats its prompt. */
  readonly gates?: readonly (readonly number[])[]
  /** How the prompt is repeated to measure gates. */
  readonly repeat?: KvZipOptions
  /** Rows of the heads that do not retrieve. */
  readonly sinks?: number
  readonly recent?: number
  /** Share of heads that stream; by default as many as the budget needs. */
  readonly streaming?: number
  /** Acts again whenever this many rows have come, by given gates: streaming heads forget what has left their window. */
  readonly after?: 'prefill' | number
}

/** Heads that retrieve keep all rows, the others the first and the latest ones. https://arxiv.org/abs/2410.10819 */
export const duoAttention = ({
  gates,
  repeat,
  sinks = 16,
  recent = 64,
  streaming,
  after = 'prefill',
}: DuoAttentionOptions = {}): EvictionPolicy => ({
  name: 'duo-attention',
  about: { title: 'DuoAttention', paper: 'https://arxiv.org/abs/2410.10819', family: 'budget', oracle: 'kvpress: DuoAttentionPress' },
  observes: {},
  rehearse: gates ? undefined : repetition(repeat),
  after: gates ? after : 'prefill',
  plan(observed, budget, rehearsed) {
    const own = gates ?? repetitionGates(rehearsed as Float32Array[][])
    const heads = observed.layers.flatMap((layer, i) => layer.rows.map((rows, h) => ({ i, h, length: rows.length, gate: own[i][h] })))
    const spare = heads.reduce((n, { length }) => n + allowed(budget, length, observed.rows) - Math.min(length, sinks + recent), 0)
    const full = streaming === undefined ? fullHeads(heads, spare, sinks + recent) : heads.length - Math.round(streaming * heads.length)
    const chosen = new Set(
      best(
        heads.map(x => x.gate),
        full,
      ),
    )
    return observed.layers.map((layer, i) =>
      layer.rows.map(({ length }, h) => {
        const at = heads.findIndex(x => x.i === i && x.h === h)
        return chosen.has(at) ? slotsBetween(0, length) : sinksAndRecent(length, sinks, recent)
      }),
    )
  },
})

/** Heads that may keep all their rows when streaming ones keep `least`, best gates first. */
function fullHeads(heads: readonly { readonly length: number; readonly gate: number }[], spare: number, least: number): number {
  let left = spare
  let n = 0
  for (const { length } of [...heads].sort((a, b) => b.gate - a.gate)) {
    left -= Math.max(0, length - least)
    if (left < 0) break
    n++
  }
  return n
}
