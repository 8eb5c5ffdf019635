import { type Cost, cost, type Perplexity, type PerplexityOptions, perplexity, type TwinReport, twin } from '@attune/evaluate'
import {
  type ChatTemplate,
  chatTemplate,
  type FinishReason,
  type GenerateOptions,
  loadTokenizer,
  type Message,
  type Piece,
  Session,
  type Tokenizer,
  type TokenizerLike,
  tokenizerOf,
} from '@attune/generate'
import { Encoder, encoderOf, type Model, Runner, type RunnerOptions, releaseWeights, type Sequence } from '@attune/models'
import { AttuneError, type Device } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'

/** A model on a device, with its tokenizer: what users hold. */
export class LoadedModel {
  readonly runner: Runner
  #tokenizer: Tokenizer | undefined
  #encoder: Encoder | undefined
  constructor(
    readonly model: Model,
    readonly device: Device,
    readonly checkpoint: Checkpoint,
    options: RunnerOptions & { readonly tokenizer?: TokenizerLike } = {},
  ) {
    if (options.tokenizer) this.#tokenizer = tokenizerOf(options.tokenizer)
    this.runner = new Runner(model, device, options)
  }
  get name(): string {
    return this.checkpoint.name
  }
  get tokenizer(): Tokenizer {
    return (this.#tokenizer ??= loadTokenizer(this.checkpoint))
  }
  /** Ids that end an answer, from generation_config.json, config.json and the tokenizer's own end token. */
  get endIds(): number[] {
    const named = this.tokenizer.named.eos_token
    const own = named === undefined ? undefined : this.tokenizer.idOf(named)
    const given = [this.checkpoint.generationConfig?.eos_token_id, this.checkpoint.config.eos_token_id].flat()
    return [...new Set([...given, own].filter((x): x is number => typeof x === 'number'))]
  }
  get chatTemplate(): ChatTemplate {
    const source = this.tokenizer.chatTemplate ?? this.checkpoint.chatTemplate
    if (!source) throw new AttuneError('ERR_UNSUPPORTED', `${this.name} has no chat template: it is not a chat model`, { file: this.name })
    return chatTemplate(source, this.tokenizer.named)
  }
  /** Prompt text of a conversation, ready for the answer. */
  prompt(messages: readonly Message[]): string {
    return this.chatTemplate(messages, { addGenerationPrompt: true })
  }

  session(): Session {
    return new Session(this.runner, this.tokenizer, this.endIds)
  }
  /** A session of an encoder-decoder that answers about a text: its ids, encoded and remembered. */
  async sessionAbout(ids: ArrayLike<number>, signal?: AbortSignal): Promise<Session> {
    return new Session(this.runner, this.tokenizer, this.endIds, await this.sequenceAbout(ids, signal))
  }
  /** As `sessionAbout`, of tokens alone. */
  async sequenceAbout(ids: ArrayLike<number>, signal?: AbortSignal): Promise<Sequence> {
    this.#encoder ??= new Encoder(encoderOf(this.model), this.device)
    const [memory] = await this.#encoder.states([{ ids }], { signal })
    const sequence = this.runner.open()
    try {
      await this.runner.remember(sequence, memory, this.#encoder.model.spec.dim, signal)
      return sequence
    } catch (error) {
      this.runner.close(sequence)
      throw error
    }
  }
  /** A session from the bytes of `Session.save`. Errors: `ERR_FORMAT`; `ERR_ARGUMENT` when another model or cache saved it. */
  loadSession(bytes: Uint8Array): Promise<Session> {
    return Session.load(this.runner, this.tokenizer, bytes, this.endIds)
  }
  /** One answer, token by token. A string is continued as it is; messages go through the chat template. */
  async *generate(prompt: string | readonly Message[], options: GenerateOptions = {}): AsyncGenerator<Piece, FinishReason> {
    const text = typeof prompt === 'string' ? prompt : this.prompt(prompt)
    const ids = this.tokenizer.encode(text, { special: typeof prompt === 'string' })
    const { encoder } = this.model.spec
    if (!encoder) {
      using session = this.session()
      return yield* session.generate(ids, options)
    }
    using session = await this.sessionAbout(ids, options.signal)
    return yield* session.generate([encoder.start], options)
  }
  encode(text: string): number[] {
    return this.tokenizer.encode(text)
  }
  perplexity(text: string | ArrayLike<number>, options?: PerplexityOptions): Promise<Perplexity> {
    return perplexity(this.runner, typeof text === 'string' ? this.encode(text) : text, options)
  }
  /** How `other` differs from this model on a text. */
  twin(other: LoadedModel, text: string | ArrayLike<number>, options?: Parameters<typeof twin>[3]): Promise<TwinReport> {
    return twin(this.runner, other.runner, typeof text === 'string' ? this.encode(text) : text, options)
  }
  cost(context = 0): Cost {
    return cost(this.model.spec, this.model.variants, { kv: this.runner.kv, context })
  }
  /** Frees caches and those weights that none of `keep` shares; with a device's last model also what the device holds for itself. */
  async dispose(keep: readonly LoadedModel[] = []): Promise<void> {
    await this.runner.dispose()
    await this.#encoder?.dispose()
    await releaseWeights(
      this.model,
      this.device,
      keep.map(k => k.model),
    )
    await this.device.rest?.()
  }
}
