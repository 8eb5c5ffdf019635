import { applyConversion } from '@attune/convert'
import type { EncoderModel, LoadOptions, Model, Unknown } from '@attune/models'
import { AttuneError, type Device, reference } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import { type OpenOptions, openModel } from '@attune/weights/node'
import {
  attention,
  type CpuOptions,
  cpu,
  createKit,
  type Kit,
  type LoadedEncoder,
  type LoadedModel,
  type LoadModelOptions,
  models,
} from 'attune'
import type { Io } from './io.ts'
import { type Paint, paint } from './paint.ts'
import { Progress } from './progress.ts'

export interface GlobalOptions {
  readonly device: string
  readonly threads?: number
  readonly json: boolean
  readonly quiet: boolean
  readonly color: boolean
  readonly weights: 'as-stored' | 'f32'
  readonly allowUnknown: boolean
}

/** The model used where none is named. */
export const DEFAULT_MODEL = 'HuggingFaceTB/SmolLM2-135M-Instruct'

/** What every command is given: output, progress, a kit on the chosen device. */
export class Context {
  readonly progress: Progress
  /** Styles of stdout. */
  readonly paint: Paint
  readonly #opened: Checkpoint[] = []
  readonly #unknown = new Set<string>()
  #kit: Promise<Kit> | undefined
  constructor(
    readonly io: Io,
    readonly options: GlobalOptions,
  ) {
    this.progress = new Progress(io, options.quiet)
    this.paint = paint(options.color && io.stdoutIsTty && !process.env.NO_COLOR)
  }
  get json(): boolean {
    return this.options.json
  }
  /** Words of a longer story on the way to its result; none when JSON is asked for. */
  say(text: string): void {
    if (this.json) return
    this.progress.end()
    this.io.out(text)
  }
  /** A result: the object as JSON when asked for, else its text. */
  result(value: unknown, text: () => string): void {
    this.progress.end()
    this.io.out(this.json ? `${JSON.stringify(value, replacer, 2)}\n` : text())
  }
  kit(): Promise<Kit> {
    this.#kit ??= openDevice(this.options, message => this.progress.note(message)).then(device => this.#kitOn(device))
    return this.#kit
  }
  /** How models are loaded, whatever for. What a model type does not know is named once each, also where progress is not shown. */
  get loading(): LoadOptions {
    const { weights, allowUnknown } = this.options
    return { weights, ...(allowUnknown ? { onUnknown: unknown => this.#told(unknown) } : {}) }
  }
  #told({ kind, name }: Unknown): void {
    const what = `${kind === 'key' ? 'config key' : 'tensor'} '${name}'`
    if (this.#unknown.has(what)) return
    this.#unknown.add(what)
    this.progress.end()
    this.io.err(`not known and left out: ${what}\n`)
  }
  /** A model without its weights and without a device to run it. */
  model(checkpoint: Checkpoint): Promise<Model> {
    return this.#kitOn(reference()).model(checkpoint, this.loading)
  }
  /** Opens a checkpoint, headers only. */
  open(ref: string, { remote = false } = {}): Promise<Checkpoint> {
    return this.#open(ref, { signal: this.io.signal, remote })
  }
  /** An encoder's model without its weights and without a device to run it. */
  encoder(checkpoint: Checkpoint): EncoderModel {
    return this.#kitOn(reference()).encoder(checkpoint, this.loading)
  }
  isEncoder(checkpoint: Checkpoint): boolean {
    return this.#kitOn(reference()).definition(checkpoint).kind === 'encoder'
  }
  async loadEncoder(ref: string | Checkpoint): Promise<LoadedEncoder> {
    const kit = await this.kit()
    return kit.loadEncoder(ref, {
      ...this.loading,
      signal: this.io.signal,
      onProgress: (done, total) => this.progress.update(`loading ${typeof ref === 'string' ? ref : ref.name}`, done, total),
    })
  }
  async load(ref: string | Checkpoint, options: LoadModelOptions = {}): Promise<LoadedModel> {
    const kit = await this.kit()
    return kit.load(ref, {
      ...this.loading,
      signal: this.io.signal,
      onProgress: (done, total) => this.progress.update(`loading ${typeof ref === 'string' ? ref : ref.name}`, done, total),
      ...options,
    })
  }
  async close(): Promise<void> {
    this.progress.end()
    await (await this.#kit?.catch(() => undefined))?.close()
    for (const checkpoint of this.#opened) await checkpoint.close()
  }
  #kitOn(device: Device): Kit {
    return createKit({ devices: [device], attention, models, restore: applyConversion, open: (ref, o) => this.#open(ref, o) })
  }
  async #open(ref: string, options: Pick<OpenOptions, 'signal' | 'remote' | 'check'>): Promise<Checkpoint> {
    const checkpoint = await openModel(ref, {
      ...options,
      onProgress: e => {
        if (e.kind === 'progress') this.progress.update(`fetching ${e.file} from ${e.source}`, e.loaded, e.total ?? 0)
        else if (e.kind === 'skip') this.progress.note(`${e.source}: ${e.why}`)
        else if (e.kind === 'found') this.progress.note(`found ${e.model} in ${e.source}`)
      },
    })
    this.#opened.push(checkpoint)
    return checkpoint
  }
}

/** Names of `--device`. */
export const DEVICES = ['cpu', 'native', 'wasm', 'webgpu', 'reference']

async function openDevice({ device, threads }: GlobalOptions, onWarning: (m: string) => void): Promise<Device> {
  if (device === 'reference') return reference()
  if (device === 'webgpu') return (await import('@attune/backend-webgpu/node')).webgpu()
  const options: CpuOptions = { threads, onWarning, backend: device === 'native' || device === 'wasm' ? device : 'auto' }
  if (!DEVICES.includes(device))
    throw new AttuneError('ERR_ARGUMENT', `--device must be one of ${DEVICES.join(', ')}, got '${device}'`, { device })
  return cpu(options)
}

/** Typed arrays become plain lists, which JSON readers expect. */
const replacer = (_key: string, value: unknown): unknown =>
  ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as unknown as ArrayLike<number>) : value
