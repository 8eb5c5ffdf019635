import { loadTokenizer, type Tokenizer, type TokenizerLike, tokenizerOf } from '@attune/generate'
import {
  Encoder,
  type EncoderGiven,
  type EncoderItem,
  type EncoderModel,
  encoderItems,
  headOutput,
  positionLimit,
  releaseWeights,
  rowsOf,
} from '@attune/models'
import { AttuneError, type Device } from '@attune/tensor'
import { type Checkpoint, type SentenceSettings, sentenceSettings } from '@attune/weights'
import { pooled } from './pooled.ts'

/** How texts become vectors. */
export interface EmbedOptions {
  /** What a text's token states become; by the model's files, else their mean. */
  readonly pooling?: SentenceSettings['pooling']
  /** Embeddings have length 1; by the model's files, else true. */
  readonly normalise?: boolean
  /** Longest text in tokens; longer ones are cut, their last token kept. By the model's files, else what its positions hold. */
  readonly maxTokens?: number
  /** Texts of one run. */
  readonly batch?: number
  readonly signal?: AbortSignal
}

/** An encoder on a device, with its tokenizer: embeddings, classes, masked words. */
export class LoadedEncoder {
  readonly encoder: Encoder
  #tokenizer: Tokenizer | undefined
  constructor(
    readonly model: EncoderModel,
    readonly device: Device,
    readonly checkpoint: Checkpoint,
    private readonly options: { readonly tokenizer?: TokenizerLike; readonly imageProcessor?: (images: any) => Promise<any> } = {},
  ) {
    if (options.tokenizer) this.#tokenizer = tokenizerOf(options.tokenizer)
    this.encoder = new Encoder(model, device)
  }
  get name(): string {
    return this.checkpoint.name
  }
  get tokenizer(): Tokenizer {
    return (this.#tokenizer ??= loadTokenizer(this.checkpoint))
  }

  /** One embedding (dim) per text or item, in order. Errors: `ERR_UNSUPPORTED` for a pooling that files ask for and that is not known, `ERR_ARGUMENT`. */
  async embed(given: EncoderGiven, options: EmbedOptions = {}): Promise<Float32Array[]> {
    const filed = sentenceSettings(this.checkpoint.sentence ?? {})
    const { pooling = filed?.pooling ?? 'mean', normalise = filed?.normalise ?? true, batch = 32, signal } = options
    const longest = whole('maxTokens', Math.min(options.maxTokens ?? filed?.maxTokens ?? this.#limit, this.#limit))
    const items = (await this.#items(given)).map(item => shortened(item, longest))
    whole('batch', batch)
    // Texts of like length run together.
    const order = items.map((_, i) => i).sort((a, b) => lengthOf(items[a]) - lengthOf(items[b]))
    const out = new Array<Float32Array>(items.length)
    for (let from = 0; from < order.length; from += batch) {
      const part = order.slice(from, from + batch)
      const states = await this.encoder.states(
        part.map(i => items[i]),
        { signal },
      )
      for (const [n, i] of part.entries()) out[i] = pooled(states[n], this.model.spec.dim, pooling, normalise)
    }
    return out
  }

  /** Final states (tokens, dim) of each text or item. */
  async states(given: EncoderGiven, signal?: AbortSignal): Promise<Float32Array[]> {
    return this.encoder.states(await this.#items(given), { signal })
  }
  /** What the model's head makes of each text or item: (size), or (tokens, size) where it reads every token. */
  async head(given: EncoderGiven, signal?: AbortSignal): Promise<Float32Array[]> {
    const items = await this.#items(given)
    const { head } = this.model.spec
    if (!head) throw new AttuneError('ERR_UNSUPPORTED', `${this.name} has no head: it gives states and embeddings`, { file: this.name })
    return this.encoder.run(
      items,
      headOutput,
      async (r, counts) =>
        rowsOf((await r.read('head')).data as Float32Array, head.of === 'tokens' ? counts : counts.map(() => 1), head.size),
      { signal },
    )
  }

  /** Frees what runs left, and the weights; with a device's last model also what the device holds for itself. */
  async dispose(): Promise<void> {
    await this.encoder.dispose()
    await releaseWeights(this.model, this.device)
    await this.device.rest?.()
  }

  get #limit(): number {
    const { input } = this.model.spec
    return input.kind === 'tokens' ? positionLimit(input.embed) : Number.POSITIVE_INFINITY
  }
  #items(given: EncoderGiven): Promise<readonly EncoderItem[]> {
    const reads = Array.isArray(given) && given.some(x => typeof x === 'string')
    return encoderItems(given, { ...this.options, tokenizer: reads ? this.tokenizer : undefined })
  }
}

function whole(name: string, x: number): number {
  if (x === Number.POSITIVE_INFINITY || (Number.isInteger(x) && x > 0)) return x
  throw new AttuneError('ERR_ARGUMENT', `${name} must be a whole number above 0, got ${x}`, { [name]: x })
}
const lengthOf = (item: EncoderItem): number => ('ids' in item ? item.ids.length : 0)

function shortened(item: EncoderItem, most: number): EncoderItem {
  if (!('ids' in item) || item.ids.length <= most) return item
  const cut = (x: ArrayLike<number>): number[] => [...Array.from(x).slice(0, most - 1), x[x.length - 1]]
  return { ids: cut(item.ids), ...(item.types ? { types: cut(item.types) } : {}) }
}
