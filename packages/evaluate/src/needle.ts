import { allLogits, type Runner, type Sequence } from '@attune/models'
import { AttuneError } from '@attune/tensor'

/** A long text with one fact in it, a question about that fact at its end, and the answer. */
export interface NeedleCase {
  readonly ids: readonly number[]
  readonly answer: readonly number[]
  /** Where the fact stands: 0 at the beginning, 1 at the end. */
  readonly depth: number
}
export interface NeedleOptions {
  /** Tokens of the text that hides the facts. */
  readonly filler: ArrayLike<number>
  /** Length of a case, tokens. */
  readonly tokens: number
  readonly depths: readonly number[]
  /** Digits of a pass key. */
  readonly digits?: number
  readonly seed?: number
}

/** The pass-key test: a number hidden in a text, asked for at its end. https://arxiv.org/abs/2305.16300 */
export function passKeys(
  encode: (text: string) => number[],
  { filler, tokens, depths, digits = 5, seed = 1 }: NeedleOptions,
): NeedleCase[] {
  const draw = numbers(seed)
  const intro = encode(INTRODUCTION)
  return depths.map(depth => {
    const key = Array.from({ length: digits }, (_, i) => (i === 0 ? 1 + (draw() % 9) : draw() % 10)).join('')
    const fact = encode(`\n\nThe pass key is ${key}. Remember it. ${key} is the pass key.\n\n`)
    const [question, answer] = parted(encode(QUESTION + key), encode(QUESTION + (key[0] === '1' ? '2' : '1')))
    const room = tokens - intro.length - fact.length - question.length
    if (room < 1 || filler.length < room)
      throw new AttuneError('ERR_ARGUMENT', `a case of ${tokens} tokens needs ${room} tokens of text, got ${filler.length}`, { tokens })
    const text = Array.prototype.slice.call(filler, 0, room) as number[]
    const at = Math.round(depth * room)
    return { ids: [...intro, ...text.slice(0, at), ...fact, ...text.slice(at), ...question], answer, depth }
  })
}

const INTRODUCTION =
  'There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. I will quiz you about it.\n\n'
const QUESTION = '\n\nWhat is the pass key? The pass key is '

/** Splits tokens where they first differ from others. */
function parted(ids: number[], others: readonly number[]): [number[], number[]] {
  const at = ids.findIndex((id, i) => id !== others[i])
  return [ids.slice(0, at), ids.slice(at)]
}

export interface NeedleResult {
  /** Share of cases whose whole answer is what the model likes best, token by token. */
  readonly recall: number
  /** Mean log-probability of an answer's token. */
  readonly logprob: number
  readonly cases: readonly { readonly depth: number; readonly found: boolean; readonly logprob: number }[]
}

/**
 * Whether a model finds what is hidden. `read` feeds a prompt; the last token of the question and the answer follow in a step of their
 * own, so that what a cache's policy forgot of the prompt is not there.
 */
export async function needle(
  runner: Runner,
  cases: readonly NeedleCase[],
  read: (sequence: Sequence, ids: readonly number[]) => Promise<unknown>,
): Promise<NeedleResult> {
  const results: NeedleResult['cases'][number][] = []
  for (const { ids, answer, depth } of cases) {
    const sequence = runner.open()
    try {
      await read(sequence, ids.slice(0, -1))
      const fed = [ids[ids.length - 1], ...answer.slice(0, -1)]
      const scores = await runner.turn([{ sequence, ids: fed }], allLogits, async r => {
        const { data, shape } = await r.read('logits')
        return answer.map((id, i) => scoreOf((data as Float32Array).subarray(i * shape[1], (i + 1) * shape[1]), id))
      })
      results.push({
        depth,
        found: scores.every(s => s.best),
        logprob: scores.reduce((n, s) => n + s.logprob, 0) / answer.length,
      })
    } finally {
      runner.close(sequence)
    }
  }
  const mean = (of: (r: NeedleResult['cases'][number]) => number) => results.reduce((n, r) => n + of(r), 0) / results.length
  return { recall: mean(r => Number(r.found)), logprob: mean(r => r.logprob), cases: results }
}

function scoreOf(row: Float32Array, id: number): { best: boolean; logprob: number } {
  let top = Number.NEGATIVE_INFINITY
  let at = 0
  for (let i = 0; i < row.length; i++)
    if (row[i] > top) {
      top = row[i]
      at = i
    }
  let sum = 0
  for (let i = 0; i < row.length; i++) sum += Math.exp(row[i] - top)
  return { best: at === id, logprob: row[id] - top - Math.log(sum) }
}

/** Small whole numbers, the same for the same seed. */
function numbers(seed: number): () => number {
  let x = seed >>> 0
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return x >>> 16
  }
}
