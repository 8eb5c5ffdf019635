import { activations } from '@attune/nn'
import { AttuneError } from '@attune/tensor'

type Json = Readonly<Record<string, unknown>>

/** Keys every config may carry that do not change what a decoder computes. */
const HARMLESS = new Set([
  'architectures',
  'model_type',
  'torch_dtype',
  'dtype',
  'transformers_version',
  'use_cache',
  '_name_or_path',
  'initializer_range',
  'bos_token_id',
  'eos_token_id',
  'pad_token_id',
  'unk_token_id',
  'sep_token_id',
  'decoder_start_token_id',
  'output_attentions',
  'output_hidden_states',
  'return_dict',
  'torchscript',
  'problem_type',
  'id2label',
  'label2id',
  'task_specific_params',
  'chunk_size_feed_forward',
  'is_encoder_decoder',
  'is_decoder',
  'tie_encoder_decoder',
  'finetuning_task',
  'gradient_checkpointing',
  'attn_implementation',
  '_attn_implementation',
  '_attn_implementation_autoset',
  'transformers.js_config',
  'auto_map', // Python classes for a model type that is known here
  // Defaults of `generate` that old configs carry.
  ...[
    'max_length',
    'min_length',
    'do_sample',
    'early_stopping',
    'num_beams',
    'num_beam_groups',
    'diversity_penalty',
    'temperature',
    'top_k',
  ],
  ...[
    'top_p',
    'typical_p',
    'repetition_penalty',
    'length_penalty',
    'no_repeat_ngram_size',
    'encoder_no_repeat_ngram_size',
    'bad_words_ids',
  ],
  ...['num_return_sequences', 'output_scores', 'return_dict_in_generate', 'forced_bos_token_id', 'forced_eos_token_id', 'suppress_tokens'],
  ...['begin_suppress_tokens', 'remove_invalid_values', 'exponential_decay_length_penalty', 'prefix', 'tokenizer_class'],
  // Notes of the tools that wrote the file.
  ...['unsloth_version', 'unsloth_fixed', 'is_llama_config'],
])

/** Reads config.json strictly: each key is read once or known to be harmless; what is left over is an error that names it. */
export class ConfigReader {
  readonly json: Json
  readonly file: string
  readonly #left: Set<string>
  readonly #at: readonly string[]
  /** Keys as the file words them, where that is an alias. */
  readonly #written = new Map<string, string>()
  /** `at` is where the object lies inside config.json; `aliases` are other words for keys, as transformers' `attribute_map`. */
  constructor(
    json: Json,
    {
      file = 'config.json',
      at = [],
      aliases = {},
    }: { file?: string; at?: readonly string[]; aliases?: Readonly<Record<string, string>> } = {},
  ) {
    this.file = [file, ...at].join(': ')
    this.#at = at
    const read: Record<string, unknown> = { ...json }
    for (const [alias, key] of Object.entries(aliases)) {
      if (!(alias in json)) continue
      if (key in json && json[key] !== json[alias])
        throw this.wrong(alias, `the same as '${key}' (${JSON.stringify(json[key])})`, json[alias])
      delete read[alias]
      read[key] = json[alias]
      this.#written.set(key, alias)
    }
    this.json = read
    this.#left = new Set(Object.keys(read).filter(k => !HARMLESS.has(k)))
  }
  raw(key: string): unknown {
    this.#left.delete(key)
    return this.json[key] ?? undefined
  }
  /** A finite number, at least `min`. */
  number(key: string, otherwise?: number, min = Number.NEGATIVE_INFINITY): number {
    const x = this.raw(key) ?? otherwise
    if (typeof x !== 'number' || !Number.isFinite(x) || x < min) throw this.wrong(key, 'a number', x)
    return x
  }
  /** A positive integer below 2³¹. */
  count(key: string, otherwise?: number): number {
    const x = this.number(key, otherwise)
    if (!Number.isInteger(x) || x < 1 || x >= 2 ** 31) throw this.wrong(key, 'a positive integer', x)
    return x
  }
  /** A count, or undefined where the config says null, or says nothing and nothing is meant then. */
  optionalCount(key: string, otherwise?: number): number | undefined {
    return this.#absent(key, otherwise) ? undefined : this.count(key, otherwise)
  }
  /** A number, or undefined where the config says null, or says nothing and nothing is meant then. */
  optionalNumber(key: string, otherwise?: number): number | undefined {
    return this.#absent(key, otherwise) ? undefined : this.number(key, otherwise)
  }
  #absent(key: string, otherwise: number | undefined): boolean {
    this.ignore(key)
    return this.json[key] === null || (this.json[key] === undefined && otherwise === undefined)
  }
  flag(key: string, otherwise: boolean): boolean {
    const x = this.raw(key) ?? otherwise
    if (typeof x !== 'boolean') throw this.wrong(key, 'true or false', x)
    return x
  }
  text(key: string, otherwise?: string): string {
    const x = this.raw(key) ?? otherwise
    if (typeof x !== 'string') throw this.wrong(key, 'a string', x)
    return x
  }
  object(key: string): Json | undefined {
    const x = this.raw(key)
    if (x !== undefined && (typeof x !== 'object' || Array.isArray(x))) throw this.wrong(key, 'an object', x)
    return x as Json | undefined
  }
  /** The name of an activation. */
  activation(key: string, otherwise?: string): string {
    const act = this.text(key, otherwise)
    if (!activations[act])
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `${this.file}: ${key} '${act}' is not supported (known: ${Object.keys(activations).join(', ')})`,
        { [key]: act },
      )
    return act
  }
  /** A word per layer, each one of `known`. */
  layerTypes<T extends string>(key: string, layers: number, known: readonly T[], otherwise: (layer: number) => T): T[] {
    const given = this.raw(key) ?? Array.from({ length: layers }, (_, i) => otherwise(i))
    if (!Array.isArray(given) || given.length !== layers) throw this.wrong(key, `a list of ${layers} words`, given)
    for (const [i, x] of given.entries())
      if (!known.includes(x))
        throw new AttuneError('ERR_UNSUPPORTED', `${this.file}: ${key}[${i}] ${JSON.stringify(x)} is not one of ${known.join(', ')}`, {
          key,
          value: x,
        })
    return given
  }
  /** A list of layer numbers; empty where the config has none. */
  indices(key: string, layers: number): number[] {
    const given = this.raw(key) ?? []
    if (!Array.isArray(given) || given.some(i => !Number.isInteger(i) || i < 0 || i >= layers))
      throw this.wrong(key, `a list of layer numbers below ${layers}`, given)
    return given
  }
  /** The least and the most, perhaps infinite: transformers 5 writes `{ "__float__": "Infinity" }`. */
  range(key: string, otherwise: readonly [number, number]): [number, number] {
    const given = this.raw(key) ?? otherwise
    const read = (x: unknown): unknown => ((x as { __float__?: unknown } | null)?.__float__ === 'Infinity' ? Number.POSITIVE_INFINITY : x)
    const [low, high, ...more] = Array.isArray(given) ? given.map(read) : []
    if (typeof low !== 'number' || typeof high !== 'number' || !(low <= high) || more.length > 0)
      throw this.wrong(key, 'a least and a most number', given)
    return [low, high]
  }
  /** Refuses a value other than the one that is supported. */
  only(key: string, supported: unknown, otherwise: unknown = supported): void {
    const x = this.raw(key) ?? otherwise
    if (x !== supported)
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `${this.file}: '${this.#name(key)}' ${JSON.stringify(x)} is not supported, only ${JSON.stringify(supported)}`,
        { [key]: x },
      )
  }
  /** Marks keys that do not change the result, for a reason known to the model's file. */
  ignore(...keys: string[]): void {
    for (const k of keys) this.#left.delete(k)
  }
  /** Throws when a key was neither read nor harmless. */
  finish(): void {
    const left = [...this.#left].filter(k => this.json[k] !== null)
    if (left.length > 0)
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `${this.file}: ${left.length === 1 ? 'key' : 'keys'} ${left.map(k => `'${k}'`).join(', ')} may change what the model computes and ${left.length === 1 ? 'is' : 'are'} not supported`,
        { file: this.file, keys: left, unknown: left.map(key => [...this.#at, key]) },
      )
  }
  wrong(key: string, want: string, got: unknown): AttuneError {
    return new AttuneError('ERR_FORMAT', `${this.file}: '${this.#name(key)}' must be ${want}, got ${JSON.stringify(got)}`, {
      file: this.file,
      key,
      value: got,
    })
  }
  #name(key: string): string {
    return this.#written.get(key) ?? key
  }
}
