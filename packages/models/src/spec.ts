import type { MaskSpec } from '@attune/attention'
import type { FeedForwardSpec, NormSpec } from '@attune/nn'
import type { PositionSpec } from '@attune/position'
import type { EmbedSpec } from './embed.ts'
import type { EncoderSpec } from './encoder-spec.ts'

/** How a block joins the residual stream: keep · r + add · block(norm(x)), where r is x itself or norm(x). */
export interface ResidualSpec {
  readonly of: 'input' | 'norm'
  readonly keep: number
  readonly add: number
}

/**
 * Where norms stand around a block f: `before` x + f(norm(x)), `around` x + norm′(f(norm(x))) (Gemma 2), `after` x + norm(f(x)) (OLMo 2),
 * `stream` norm(x + f(x)) (BERT), `none` x + f(x).
 */
export type NormPlace = 'before' | 'around' | 'after' | 'stream' | 'none'

/** How a block of a layer stands on the residual stream. */
export interface BlockSpec {
  /** `before` where absent. */
  readonly norm?: NormPlace
  /** x + block where absent. */
  readonly residual?: ResidualSpec
}

/** One layer as data. */
export interface LayerSpec {
  readonly attention: BlockSpec & {
    /** Name of the variant and its config. */
    readonly variant: string
    readonly config: Readonly<Record<string, unknown>>
    readonly position: PositionSpec
    readonly mask: MaskSpec
  }
  readonly mlp: FeedForwardSpec & BlockSpec
  /** The feed-forward block reads the stream before attention: by a norm of its `own` (GPT-NeoX), or what attention reads (`shared`: GPT-J, Phi). */
  readonly parallel?: 'own' | 'shared'
}

/** A language model as plain data: what `config.json` says, in attune's words. Serialisable. */
export interface DecoderSpec {
  readonly kind: 'decoder'
  /** HF `model_type` the file names follow. */
  readonly type: string
  readonly vocab: number
  readonly dim: number
  /** What becomes of token embeddings before the first layer; nothing where absent. */
  readonly embed?: EmbedSpec
  readonly norm: NormSpec
  /** The stream is normed after the last layer; true by default. */
  readonly finalNorm?: boolean
  /** True when the output projection is the embedding table. */
  readonly tied: boolean
  readonly maxPositions: number
  readonly layers: readonly LayerSpec[]
  /** Factor on the final states before the output projection; 1 by default. */
  readonly headScale?: number
  /** The output projection adds a bias. */
  readonly headBias?: boolean
  /** Logits pass cap · tanh(logit / cap). */
  readonly logitCap?: number
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
