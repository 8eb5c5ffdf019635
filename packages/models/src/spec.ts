import type { MaskSpec } from '@attune/attention'
import type { FeedForwardSpec, NormSpec } from '@attune/nn'
import type { PositionSpec } from '@attune/position'

/** How a block joins the residual stream: keep · r + add · block(norm(x)), where r is x itself or norm(x). */
export interface ResidualSpec {
  readonly of: 'input' | 'norm'
  readonly keep: number
  readonly add: number
}

/** One decoder layer as data. */
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

/** A decoder-only language model as plain data: what `config.json` says, in attune's words. Serialisable. */
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
}

/** A pure map over the layers. */
export const swap = (spec: DecoderSpec, change: (layer: LayerSpec, index: number) => LayerSpec): DecoderSpec => ({
  ...spec,
  layers: spec.layers.map(change),
})
