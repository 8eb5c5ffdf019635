import type { Runner, Sequence } from '@attune/models'
import { allLogits, noOutput } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import { checkSampling, drawInputs, drawNext, type SampleOptions } from './sampling.ts'
import { StopWatch } from './stop.ts'
import type { Tokenizer } from './tokenizer.ts'
import { type TokenizerLike, tokenizerOf } from './transformers-js.ts'

/** How an answer is drawn and when it ends. */
export interface GenerateOptions extends SampleOptions {
  /** Most new tokens. */
  readonly maxTokens?: number
  /** Texts that end the answer; not part of it. */
  readonly stop?: readonly string[]
  /** Tokens that end the answer; the model's own end tokens by default, [] for none. */
  readonly endIds?: readonly number[]
  readonly signal?: AbortSignal
}

export interface Piece {
  readonly id: number
  readonly logprob: number
  /** Whole characters that became certain with this token; may be empty. */
  readonly text: string
}

export type FinishReason = 'length' | 'end' | 'stop'

/** A conversation with a model: keeps its past, so that the next call only feeds what is new. */
export class Session {
  #sequence: Sequence
  readonly #ids: number[] = []
  /** Why the last `generate` ended. */
  finish: FinishReason | undefined
  readonly tokenizer: Tokenizer
  constructor(
    readonly runner: Runner,
    tokenizer: TokenizerLike,
    readonly endIds: readonly number[] = [],
    sequence: Sequence = runner.open(),
    ids: readonly number[] = [],
  ) {
    this.tokenizer = tokenizerOf(tokenizer)
    this.#sequence = sequence
    this.#ids.push(...ids)
  }

  /** All tokens so far. */
  get ids(): readonly number[] {
    return this.#ids
  }

  /** Continues after `prompt`, token by token. Text that begins a session gets the model's begin token, text that goes on does not. */
  async *generate(prompt: string | ArrayLike<number>, options: GenerateOptions = {}): AsyncGenerator<Piece, FinishReason> {
    checkSampling(options)
    const { maxTokens = 128, signal } = options
    const ends = new Set(options.endIds ?? this.endIds)
    const given = typeof prompt === 'string' ? this.tokenizer.encode(prompt, { special: this.#ids.length === 0 }) : Array.from(prompt)
    // The last token of the past may not have been fed yet.
    if (this.#ids.length - this.#sequence.rows + given.length === 0)
      throw new AttuneError('ERR_ARGUMENT', 'there is nothing to continue: the prompt is empty', {})
    this.#ids.push(...given)
    this.finish = undefined
    const stream = this.tokenizer.stream()
    const watch = new StopWatch(options.stop ?? [])
    await this.#prefill(signal)
    let next = this.#ids[this.#ids.length - 1]
    for (let drawn = 0; drawn < maxTokens; drawn++) {
      const { id, logprob } = await this.#draw(next, options, drawn, signal)
      if (ends.has(id)) {
        yield* this.#flush(stream.end(), watch, id, logprob)
        return (this.finish = 'end')
      }
      this.#ids.push(id)
      const { text, stopped } = watch.push(stream.push(id))
      yield { id, logprob, text }
      if (stopped) return (this.finish = 'stop')
      next = id
    }
    const last = this.#ids[this.#ids.length - 1]
    yield* this.#flush(stream.end(), watch, last, 0)
    return (this.finish = 'length')
  }

  /** The whole answer as text. */
  async complete(prompt: string | ArrayLike<number>, options: GenerateOptions = {}): Promise<string> {
    let text = ''
    for await (const piece of this.generate(prompt, options)) text += piece.text
    return text
  }

  /** Log-probability of each of `ids` after the session's past, without keeping them. */
  async score(ids: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    const rows = this.#sequence.rows
    const fed = [...this.#ids.slice(rows), ...Array.from(ids)]
    const first = fed.length - ids.length
    const out = new Float32Array(ids.length).fill(Number.NaN)
    // Where what was fed cannot be forgotten, a copy is fed.
    const stays = this.runner.canReturn(this.#sequence, fed.length)
    const sequence = stays ? this.#sequence : await this.runner.fork(this.#sequence)
    await this.runner.feed(
      sequence,
      fed,
      allLogits,
      async (r, from) => {
        const { data, shape } = await r.read('logits')
        for (let i = 0; i < shape[0]; i++) {
          const target = from + i + 1 - first
          if (target >= 0 && target < ids.length) out[target] = logSoftmaxAt(data.subarray(i * shape[1], (i + 1) * shape[1]), ids[target])
        }
      },
      { signal },
    )
    if (stays) this.runner.trim(sequence, rows)
    else this.runner.close(sequence)
    return out
  }

  /** Another session with the same past. */
  async fork(): Promise<Session> {
    return new Session(this.runner, this.tokenizer, this.endIds, await this.runner.fork(this.#sequence), this.#ids)
  }
  /** The session as bytes: its tokens and all that is remembered of them. */
  save(): Promise<Uint8Array> {
    return this.runner.save(this.#sequence, { ids: new Uint8Array(Int32Array.from(this.#ids).buffer) })
  }
  /** A session from `save`'s bytes. Errors: `ERR_FORMAT`; `ERR_ARGUMENT` when another model or cache saved it. */
  static async load(runner: Runner, tokenizer: TokenizerLike, bytes: Uint8Array, endIds: readonly number[] = []): Promise<Session> {
    const { sequence, own } = await runner.load(bytes)
    try {
      return new Session(runner, tokenizer, endIds, sequence, idsOf(own.ids, sequence.rows, runner.model.spec.vocab))
    } catch (error) {
      runner.close(sequence)
      throw error
    }
  }
  /** Forgets all tokens from `count` on. */
  trim(count: number): void {
    if (count < this.#sequence.rows) this.runner.trim(this.#sequence, count)
    this.#ids.length = Math.min(count, this.#ids.length)
  }
  close(): void {
    this.runner.close(this.#sequence)
  }
  [Symbol.dispose](): void {
    this.close()
  }

  /** Feeds all tokens but the last. What another sequence that began alike left is taken over, and what this one has is left for others. */
  async #prefill(signal?: AbortSignal): Promise<void> {
    const { runner } = this
    const most = this.#ids.length - 1
    const shared = runner.shareable(most) ?? 0
    if (shared > 0 && this.#sequence.rows === 0) {
      runner.close(this.#sequence)
      this.#sequence = await runner.begin(this.#ids)
    }
    const span = this.#sequence.position + this.#ids.length - this.#sequence.rows
    const feed = (to: number, settle: boolean) =>
      runner.feed(this.#sequence, this.#ids.slice(this.#sequence.rows, to), noOutput, undefined, { span, signal, settle })
    if (shared > this.#sequence.rows) {
      await feed(shared, false)
      await runner.keep(this.#sequence, this.#ids)
    }
    if (most > this.#sequence.rows) await feed(most, true)
  }

  async #draw(last: number, options: SampleOptions, drawn: number, signal?: AbortSignal): Promise<{ id: number; logprob: number }> {
    const { row } = this.#sequence
    const inputs = drawInputs(this.runner.batchRows, [{ row, options, past: this.#ids, drawn }])
    return this.runner.turn(
      [{ sequence: this.#sequence, ids: [last] }],
      drawNext,
      async r => {
        const ids = await r.read('ids')
        const logprobs = await r.read('logprobs')
        return { id: ids.data[row], logprob: logprobs.data[row] }
      },
      { inputs, signal },
    )
  }

  *#flush(tail: string, watch: StopWatch, id: number, logprob: number): Generator<Piece> {
    const text = watch.push(tail).text + watch.rest()
    if (text) yield { id, logprob, text }
  }
}

function logSoftmaxAt(logits: ArrayLike<number>, index: number): number {
  let top = Number.NEGATIVE_INFINITY
  for (let i = 0; i < logits.length; i++) if (logits[i] > top) top = logits[i]
  let total = 0
  for (let i = 0; i < logits.length; i++) total += Math.exp(logits[i] - top)
  return logits[index] - top - Math.log(total)
}

function idsOf(bytes: Uint8Array | undefined, rows: number, vocab: number): number[] {
  const wrong = (what: string) => new AttuneError('ERR_FORMAT', `saved session: ids: ${what}`, { field: 'ids' })
  if (!bytes || bytes.byteLength % 4 !== 0) throw wrong('there are no whole token ids')
  const ids = [...new Int32Array(bytes.slice().buffer)]
  if (ids.length < rows) throw wrong(`${ids.length} ids for ${rows} rows`)
  const bad = ids.find(id => id < 0 || id >= vocab)
  if (bad !== undefined) throw wrong(`${bad} is outside the vocabulary of ${vocab}`)
  return ids
}
