import type { Metadata } from './metadata.ts'
import type { Gguf } from './read.ts'

/** config.json, of either version of transformers. */
export type Config = Readonly<Record<string, unknown>>

/** A metadata entry to be written. */
export type Field =
  | readonly [key: string, type: 'u32' | 'f32', value: number]
  | readonly [key: string, type: 'bool', value: boolean]
  | readonly [key: string, type: 'string', value: string]
  | readonly [key: string, type: 'strings', value: readonly string[]]
  | readonly [key: string, type: 'i32s' | 'f32s', value: ArrayLike<number>]

/** What llama.cpp did to a tensor's values when it wrote them. */
export type Change =
  /** Rows of heads this wide were reordered from half-split to interleaved rope pairs. */
  | { readonly kind: 'interleaved'; readonly head: number }
  /** A matrix that Hugging Face stores (in, out) was turned. */
  | { readonly kind: 'transposed' }
  /** This was added to every value. */
  | { readonly kind: 'shifted'; readonly by: number }
  /** Tensors with so many rows each were put below each other. */
  | { readonly kind: 'joined'; readonly rows: readonly number[] }

/** What llama.cpp did to a model when it wrote the GGUF: enough to undo it and to do it again. One file per architecture. */
export interface GgufArchitecture {
  /** `general.architecture`. */
  readonly name: string
  /** `model_type`s of config.json that are written as it. */
  readonly types: readonly string[]
  /** config.json as Hugging Face has it. Reads every metadata key under its name, or leaves it for `harmless`. */
  config(meta: Metadata, tensors: Gguf['tensors'], folded: ReadonlyMap<string, Float32Array>): Record<string, unknown>
  /** Keys under its name that change nothing, and why. */
  readonly harmless: Readonly<Record<string, string>>
  /** GGUF name → Hugging Face name, or names where it joined several; `{i}` stands for a layer number. `.weight` and `.bias` follow. */
  readonly names: Readonly<Record<string, string | readonly string[]>>
  /** Small tensors whose content the config carries; their values are handed to `config`. */
  readonly folded: readonly string[]
  /** `stem` is a key of `names`. */
  change?(stem: string, kind: 'weight' | 'bias', config: Config): Change | undefined
  /** The other way: metadata under its name. What it does not say, reading it back shows. */
  metadata(config: Config): readonly Field[]
  /** The folded tensors of a config. */
  unfolded?(config: Config): readonly { readonly name: string; readonly values: Float32Array }[]
}
