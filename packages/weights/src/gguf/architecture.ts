import type { Metadata } from './metadata.ts'
import type { Gguf } from './read.ts'

/** What llama.cpp did to a model when it wrote the GGUF: enough to undo it. One file per architecture. */
export interface GgufArchitecture {
  /** `general.architecture`. */
  readonly name: string
  /** config.json as Hugging Face has it. Reads every metadata key under its name, or leaves it for `harmless`. */
  config(meta: Metadata, tensors: Gguf['tensors'], folded: ReadonlyMap<string, Float32Array>): Record<string, unknown>
  /** Keys under its name that change nothing, and why. */
  readonly harmless: Readonly<Record<string, string>>
  /** GGUF name → Hugging Face name; `{i}` stands for a layer number. `.weight` and `.bias` follow. */
  readonly names: Readonly<Record<string, string>>
  /** Small tensors whose content the config carries; their values are handed to `config`. */
  readonly folded: readonly string[]
  /** Head width of tensors whose rows were reordered from half-split to interleaved rope pairs. */
  interleaved(ggufName: string, config: Record<string, unknown>): number | undefined
}
