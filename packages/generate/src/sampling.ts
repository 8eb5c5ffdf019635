import type { Probe, StepIo } from '@attune/models'
import { sampleOf } from '@attune/ops'
import { AttuneError } from '@attune/tensor'

/** How the next token is drawn; the order of the steps is transformers': penalty, temperature, top-k, top-p, min-p, draw. */
export interface SampleOptions {
  /** 0: always the likeliest token. */
  readonly temperature?: number
  /** Only the k likeliest; 0 = all. */
  readonly topK?: number
  /** Only the likeliest tokens that together reach this probability. */
  readonly topP?: number
  /** Only tokens at least this fraction as likely as the likeliest. */
  readonly minP?: number
  /** > 1 makes tokens of the recent past less likely. Keskar et al. 2019, https://arxiv.org/abs/1909.05858 */
  readonly repetitionPenalty?: number
  /** How many past tokens the penalty looks at. */
  readonly penaltyWindow?: number
  readonly seed?: number
}

/** Width of the table of recent tokens a step is given. */
const RECENT = 256
/** Numbers of one row of `sample.options`. */
const OPTIONS = 8

/** Draws the next token of every batch row inside the step: outputs `ids` (B) i32 and `logprobs` (B) f32. */
export const drawNext: Probe = {
  key: 'draw',
  build(result, io: StepIo) {
    const b = io.tokens.batchRows
    const { ids, logprobs } = sampleOf(result.logits(io.last), {
      options: io.input('sample.options', 'f32', [b, OPTIONS]),
      recent: io.input('sample.recent', 'i32', [b, RECENT]),
      key: io.input('sample.key', 'i32', [b, 2]),
    })
    return { outputs: { ids, logprobs }, draw: ids }
  },
}

/** One batch row's share of a drawing step. */
export interface DrawRow {
  readonly row: number
  readonly options: SampleOptions
  /** Tokens so far, newest last. */
  readonly past: readonly number[]
  /** How many tokens were drawn before: the counter of the random numbers. */
  readonly drawn: number
}

/** Inputs of `drawNext` for the rows that draw. */
export function drawInputs(batchRows: number, rows: readonly DrawRow[]): Record<string, Float32Array | Int32Array> {
  const options = new Float32Array(batchRows * OPTIONS)
  const recent = new Int32Array(batchRows * RECENT).fill(-1)
  const key = new Int32Array(batchRows * 2)
  for (const { row, options: o, past, drawn } of rows) {
    checkSampling(o)
    options.set([o.temperature ?? 0, o.topK ?? 0, o.topP ?? 1, o.minP ?? 0, o.repetitionPenalty ?? 1], row * OPTIONS)
    if ((o.repetitionPenalty ?? 1) !== 1) recent.set(past.slice(-Math.min(o.penaltyWindow ?? RECENT, RECENT)), row * RECENT)
    key.set([o.seed ?? 0, drawn], row * 2)
  }
  return { 'sample.options': options, 'sample.recent': recent, 'sample.key': key }
}

export function checkSampling(o: SampleOptions): void {
  const rules: [keyof SampleOptions, (x: number) => boolean, string][] = [
    ['temperature', x => x >= 0 && x <= 100, 'between 0 and 100'],
    ['topK', x => Number.isInteger(x) && x >= 0, 'a whole number, 0 or more'],
    ['topP', x => x > 0 && x <= 1, 'in (0, 1]'],
    ['minP', x => x >= 0 && x <= 1, 'between 0 and 1'],
    ['repetitionPenalty', x => x > 0, 'above 0'],
    ['penaltyWindow', x => Number.isInteger(x) && x >= 0 && x <= RECENT, `a whole number up to ${RECENT}`],
    ['seed', x => Number.isInteger(x) && Math.abs(x) < 2 ** 31, 'a whole number below 2³¹'],
  ]
  for (const [name, ok, want] of rules) {
    const x = o[name]
    if (x !== undefined && !(Number.isFinite(x) && ok(x)))
      throw new AttuneError('ERR_ARGUMENT', `${name} must be ${want}, got ${x}`, { option: name, value: x })
  }
}
