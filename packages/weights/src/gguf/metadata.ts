import { AttuneError } from '@attune/tensor'
import { formatError } from '../error.ts'
import type { GgufValue } from './value.ts'

const METADATA_START = 24

/** Typed access to a file's metadata that remembers which keys were read. */
export class Metadata {
  readonly file: string
  readonly #values: ReadonlyMap<string, GgufValue>
  readonly #offsets: ReadonlyMap<string, number>
  readonly #read = new Set<string>()

  /** `offsets` says where in the file each key stands. */
  constructor(file: string, values: ReadonlyMap<string, GgufValue>, offsets: ReadonlyMap<string, number> = new Map()) {
    this.file = file
    this.#values = values
    this.#offsets = offsets
  }

  /** `ERR_FORMAT` of a key, with where it stands; the start of the metadata where it is missing. */
  wrong(key: string, why: string, data: Record<string, unknown> = {}): Error {
    return formatError(this.file, key, this.#offsets.get(key) ?? METADATA_START, why, data)
  }

  get(key: string): GgufValue | undefined {
    this.#read.add(key)
    return this.#values.get(key)
  }

  number(key: string): number | undefined {
    return this.#typed(key, 'a number', v => typeof v === 'number')
  }

  string(key: string): string | undefined {
    return this.#typed(key, 'a string', v => typeof v === 'string')
  }

  boolean(key: string): boolean | undefined {
    return this.#typed(key, 'a boolean', v => typeof v === 'boolean')
  }

  strings(key: string): readonly string[] | undefined {
    return this.#typed(key, 'a list of strings', v => Array.isArray(v) && v.every(x => typeof x === 'string'))
  }

  numbers(key: string): ArrayLike<number> | undefined {
    return this.#typed(key, 'a list of numbers', v => ArrayBuffer.isView(v) || (Array.isArray(v) && v.every(x => typeof x === 'number')))
  }

  /** A number for all layers, also where the file lists it per layer. Errors: `ERR_UNSUPPORTED` when layers differ. */
  uniform(key: string): number | undefined {
    const value = this.get(key)
    if (value === undefined || typeof value === 'number') return value
    const list = this.numbers(key)!
    if (list.length === 0) throw this.wrong(key, 'is an empty list')
    for (let i = 1; i < list.length; i++)
      if (list[i] !== list[0])
        throw new AttuneError('ERR_UNSUPPORTED', `${this.file}: ${key} differs between layers (${list[0]}, ${list[i]})`, {
          file: this.file,
          key,
          layer: i,
        })
    return list[0]
  }

  /** A whole number from 1 up, the same for all layers. Errors: `ERR_FORMAT` when it is missing or no size. */
  size(key: string, fallback?: number): number {
    const value = this.require(this.uniform(key) ?? fallback, key)
    if (!Number.isSafeInteger(value) || value < 1) throw this.wrong(key, `${value} is not a size`)
    return value
  }

  require<T>(value: T | undefined, key: string): T {
    if (value === undefined) throw this.wrong(key, 'missing from the metadata')
    return value
  }

  /** Keys under `prefix` that nothing has read. */
  unread(prefix: string): string[] {
    return [...this.#values.keys()].filter(key => key.startsWith(prefix) && !this.#read.has(key))
  }

  #typed<T>(key: string, what: string, test: (v: GgufValue) => boolean): T | undefined {
    const value = this.get(key)
    if (value !== undefined && !test(value)) throw this.wrong(key, `is not ${what}`)
    return value as T | undefined
  }
}
