import type { MaskSpec } from '@attune/attention'
import type { FeedForwardSpec, NormSpec } from '@attune/nn'
import type { PositionSpec } from '@attune/position'
import type { EncoderSpec } from './encoder-spec.ts'

/** How a block joins the residual stream: keep · r + add · block(norm(x)), where r is x itself or norm(x). */
export interface ResidualSpec {
  readonly of: 'input' | 'norm'
  readonly keep: number
  readonly add: number
}

/** One layer as data. */
export interface LayerSpec {
  readonly attention: {
    /** Name of the variant and its config. */
    readonly variant: string
    readonly config: Readonly<Record<string, unknown>>
    readonly position: PositionSpec
    readonly mask: MaskSpec
    /** x + block(norm(x)) where absent. */
    readonly residual?: ResidualSpec
  }
  readonly mlp: FeedForwardSpec & { readonly residual?: ResidualSpec }
}

/** A language model as plain data: what `config.json` says, in attune's words. Serialisable. */
export interface DecoderSpec {
  readonly kind: 'decoder'
  /** HF `model_type` the file names follow. */
  readonly type: string
  readonly vocab: number
  readonly dim: number
  readonly norm: NormSpec
  /** True when the output projection is the embedding table. */
  readonly tied: boolean
  readonly maxPositions: number
  readonly layers: readonly LayerSpec[]
  /** Factor on the final states before the output projection; 1 by default. */
  readonly headScale?: number
  /** The encoder whose output the layers' memory axes hold, and the token that an answer starts from. Its parameters lie under `encoder`. */
  readonly encoder?: EncoderSpec & { readonly start: number }
  /** How many of `layers` the model's authors count as one, such as attention to itself and to a memory; 1 by default. */
  readonly layersPerBlock?: number
}

/** A pure map over the layers. */
export const swap = (spec: DecoderSpec, change: (layer: LayerSpec, index: number) => LayerSpec): DecoderSpec => ({
  ...spec,
  layers: spec.layers.map(change),
})
