import { isVariant, type Variant } from '@attune/attention'
import type { CacheManager } from '@attune/cache'
import type { TokenizerLike } from '@attune/generate'
import {
  assertRoom,
  type EncoderDefinition,
  type EncoderModel,
  type EncoderReaders,
  encoderFrom,
  type LoadOptions,
  type Model,
  type ModelDefinition,
  modelFrom,
  type RunnerOptions,
  uploadWeights,
} from '@attune/models'
import { AttuneError, type Device } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import { LoadedEncoder } from './loaded-encoder.ts'
import { LoadedModel } from './loaded-model.ts'

/** What a kit is made of: plain values, nothing registers itself. */
export interface KitOptions {
  /** The first is used unless a call names another. */
  readonly devices: readonly Device[]
  readonly attention: readonly Variant[]
  readonly models: readonly (ModelDefinition | EncoderDefinition)[]
  /** Opens what a reference (folder, file, hub id) names. Without it, `load` takes checkpoints only. */
  readonly open?: (ref: string, options: OpenOptions) => Promise<Checkpoint>
  /** Brings back per-layer variants that a converted folder records beside its config. */
  readonly restore?: (checkpoint: Checkpoint, model: Model) => Promise<Model>
}
/** How a reference is opened. */
export interface OpenOptions {
  readonly signal?: AbortSignal
  /** Told of a model by its headers before its weights are downloaded; what it throws stops that. */
  readonly check?: (headers: Checkpoint) => void | Promise<void>
  readonly onEvent?: (event: { readonly kind: string; readonly message: string; readonly done?: number; readonly total?: number }) => void
}

/** Loading checks headers itself: what does not fit is refused before its weights are fetched. */
type LoadingOptions = LoadOptions & Omit<OpenOptions, 'check'>

export interface LoadEncoderOptions extends LoadingOptions {
  readonly device?: Device | string
  /** Used in place of the checkpoint's own; one of transformers.js will do. */
  readonly tokenizer?: TokenizerLike
  /** Makes items of images; one of transformers.js will do. */
  readonly imageProcessor?: EncoderReaders['imageProcessor']
  onProgress?(done: number, total: number): void
}

/** How a language model is loaded: its weights, its device, its cache and its tokenizer. */
export interface LoadModelOptions extends LoadingOptions, RunnerOptions {
  readonly device?: Device | string
  readonly cache?: CacheManager
  /** Used in place of the checkpoint's own; one of transformers.js will do. */
  readonly tokenizer?: TokenizerLike
  onProgress?(done: number, total: number): void
}

/** The only place that sees everything. Every load, run and conversion of a kit uses its own variants and models. */
export class Kit {
  readonly variants: ReadonlyMap<string, Variant>
  readonly definitions: ReadonlyMap<string, ModelDefinition | EncoderDefinition>
  readonly #opened: Checkpoint[] = []
  constructor(readonly options: KitOptions) {
    const wrong = options.attention.find(v => !isVariant(v))
    if (wrong) throw new AttuneError('ERR_ARGUMENT', 'an entry of `attention` was not made by defineAttention', {})
    this.variants = new Map(options.attention.map(v => [v.name, v]))
    this.definitions = new Map(options.models.map(m => [m.type, m]))
    if (this.variants.size !== options.attention.length)
      throw new AttuneError('ERR_ARGUMENT', 'two attention variants have the same name', {})
    if (options.devices.length === 0) throw new AttuneError('ERR_ARGUMENT', 'a kit needs a device', {})
  }

  device(wanted?: Device | string): Device {
    if (wanted === undefined) return this.options.devices[0]
    if (typeof wanted !== 'string') return wanted
    const d = this.options.devices.find(x => x.name === wanted || (x.name.startsWith(wanted) && /\W/.test(x.name[wanted.length])))
    if (!d)
      throw new AttuneError('ERR_ARGUMENT', `device '${wanted}' is not among ${this.options.devices.map(x => x.name).join(', ')}`, {
        device: wanted,
      })
    return d
  }

  /** Opens a checkpoint: headers only. What was opened by reference is closed with the kit. */
  async open(ref: string | Checkpoint, { signal, onEvent, check }: OpenOptions = {}): Promise<Checkpoint> {
    if (typeof ref !== 'string') return ref
    if (!this.options.open)
      throw new AttuneError('ERR_ARGUMENT', 'this kit opens checkpoints only: give createKit an `open` function for references', { ref })
    const checkpoint = await this.options.open(ref, { signal, onEvent, check })
    this.#opened.push(checkpoint)
    return checkpoint
  }

  /** The model type's own reading of a checkpoint. Nothing but headers is read. */
  async model(checkpoint: Checkpoint, options: LoadOptions = {}): Promise<Model> {
    const model = modelFrom(checkpoint, this.decoder(checkpoint), this.variants, options)
    return (await this.options.restore?.(checkpoint, model)) ?? model
  }

  /** As `model`, of an encoder. Errors: `ERR_UNSUPPORTED` for a language model. */
  encoder(checkpoint: Checkpoint, options: LoadOptions = {}): EncoderModel {
    const definition = this.definition(checkpoint)
    if (definition.kind !== 'encoder')
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `${checkpoint.name} is a language model (${definition.type}), not an encoder: open it with load`,
        {
          model_type: definition.type,
        },
      )
    return encoderFrom(checkpoint, definition, this.variants, options)
  }

  /** Opens, binds and uploads an encoder: embeddings, classes, masked words. */
  async loadEncoder(ref: string | Checkpoint, options: LoadEncoderOptions = {}): Promise<LoadedEncoder> {
    return this.#loaded(
      ref,
      options,
      (headers: Checkpoint) => this.encoder(headers, options),
      (model, checkpoint) => new LoadedEncoder(model, this.device(options.device), checkpoint, options),
    )
  }

  /** Opens, binds and uploads a language model. One that does not fit on the device is refused by its headers: `ERR_OOM`. */
  async load(ref: string | Checkpoint, options: LoadModelOptions = {}): Promise<LoadedModel> {
    return this.#loaded(
      ref,
      options,
      headers => this.model(headers, options),
      (model, checkpoint) => this.wrap(model, checkpoint, options),
    )
  }

  /** Opens what `ref` names, refuses what does not fit before its weights are fetched, and uploads. */
  async #loaded<M extends Pick<Model, 'values'>, L>(
    ref: string | Checkpoint,
    options: Omit<LoadEncoderOptions, 'tokenizer'>,
    modelOf: (checkpoint: Checkpoint) => M | Promise<M>,
    wrap: (model: M, checkpoint: Checkpoint) => L,
  ): Promise<L> {
    const { signal, onEvent } = options
    const device = this.device(options.device)
    const check = async (headers: Checkpoint) => assertRoom(await modelOf(headers), device)
    const checkpoint = await this.open(ref, { signal, onEvent, check })
    try {
      const model = await modelOf(checkpoint)
      const loaded = wrap(model, checkpoint)
      await uploadWeights(model, device, options)
      return loaded
    } catch (error) {
      if (checkpoint !== ref) await checkpoint.close()
      throw error
    }
  }

  /** A loaded model around a Spec and weights that are already there, such as a conversion's result. */
  wrap(model: Model, checkpoint: Checkpoint, options: LoadModelOptions = {}): LoadedModel {
    return new LoadedModel(model, this.device(options.device), checkpoint, options)
  }

  /** The model type of a language model. Errors: `ERR_UNSUPPORTED` for an encoder. */
  decoder(checkpoint: Checkpoint): ModelDefinition {
    const definition = this.definition(checkpoint)
    if (definition.kind !== 'encoder') return definition
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${checkpoint.name} is an encoder (${definition.type}), not a language model: open it with loadEncoder`,
      {
        model_type: definition.type,
      },
    )
  }

  definition(checkpoint: Checkpoint): ModelDefinition | EncoderDefinition {
    const type = checkpoint.config.model_type
    const definition = typeof type === 'string' ? this.definitions.get(type) : undefined
    if (!definition)
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `${checkpoint.name}: model type ${JSON.stringify(type)} is not supported${checkpoint.config.auto_map ? ' and brings its own Python code (auto_map), which attune does not run' : ''} (known: ${[...this.definitions.keys()].join(', ')})`,
        { file: checkpoint.name, model_type: type },
      )
    return definition
  }

  async close(): Promise<void> {
    for (const d of this.options.devices) await d.close()
    for (const checkpoint of this.#opened.splice(0)) await checkpoint.close()
  }
}

/** A kit of parts. Errors: `ERR_ARGUMENT` for a part twice or of another kind, or without a device. */
export const createKit = (options: KitOptions): Kit => new Kit(options)
