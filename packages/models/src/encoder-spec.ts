import type { NormSpec } from '@attune/nn'
import type { GridSize } from '@attune/position'
import type { EmbedSpec } from './embed.ts'
import type { EncoderHeadSpec } from './encoder-head.ts'
import type { LayerSpec } from './spec.ts'

/** What an encoder reads, as data. */
export type EncoderInputSpec =
  | {
      /** Token ids. */
      readonly kind: 'tokens'
      readonly vocab: number
      /** `decoder`: the table is the one of the decoder that this encoder serves. */
      readonly table: 'own' | 'decoder'
      /** What becomes of the embeddings; nothing where absent. */
      readonly embed?: EmbedSpec
    }
  | {
      /** Images (channels, height, width), cut into patches after one learned class token; learned positions for a grid of patches. */
      readonly kind: 'patches'
      readonly channels: number
      /** Height and width of a patch. */
      readonly patch: GridSize
      /** Patches down and across of the images it was trained on. */
      readonly grid: GridSize
    }

/** A model that reads whole sequences at once, as plain data. Serialisable. */
export interface EncoderSpec {
  readonly kind: 'encoder'
  /** HF `model_type` the file names follow. */
  readonly type: string
  readonly dim: number
  readonly norm: NormSpec
  /** The stream is normed after the last layer; true by default. */
  readonly finalNorm?: boolean
  readonly input: EncoderInputSpec
  readonly layers: readonly LayerSpec[]
  readonly head?: EncoderHeadSpec
  /** What transformers lists as the last hidden states: those after the final norm by default. */
  readonly lastHidden?: 'stream' | 'normed'
}
