import type { StateView } from '@attune/attention'
import {
  type Bound,
  bindParams,
  type EmbeddingSpec,
  embedding,
  type LinearSpec,
  linear,
  type NormParams,
  norm,
  normParams,
  type ParamTree,
  type ParamValues,
} from '@attune/nn'
import type { RopeOperands, RopeSpec } from '@attune/position'
import { gatherRows, mapWith, type Tensor } from '@attune/tensor'
import { innerEncoderParams } from './encoder.ts'
import { type LayerBound, layerStack, layersParams, type Variants } from './layers.ts'
import type { DecoderSpec } from './spec.ts'

/** The whole parameter tree: `embed`, `layers.<i>`, `norm`, and `head` unless tied; `encoder` where there is one. */
export function decoderParams(spec: DecoderSpec, variants: Variants): ParamTree {
  return {
    embed: embedding(spec.vocab, spec.dim),
    layers: layersParams(spec, variants),
    norm: normParams(spec.norm, spec.dim),
    ...(spec.tied ? {} : { head: linear({ dim: spec.dim }, { vocab: spec.vocab }) }),
    ...(spec.encoder ? { encoder: innerEncoderParams(spec.encoder, variants) } : {}),
  }
}

/** What the decoder needs of one step. */
export interface DecoderStep {
  /** Token ids (N) i32 */
  readonly ids: Tensor
  /** Position of each token (N) i32 */
  readonly position: Tensor
  readonly rope: (spec: RopeSpec) => RopeOperands
  /** State of a layer, given its attention's parameters. */
  state(layer: number, params: unknown): StateView
}

export interface DecoderResult {
  /** Residual stream (N, dim): embeddings, then after each layer. */
  readonly stream: readonly Tensor[]
  /** The stream as the model's authors count layers: embeddings, after each block, the last after the final norm. */
  readonly hidden: readonly Tensor[]
  /** Input of each layer's attention, after its norm (N, dim). */
  readonly attentionInputs: readonly Tensor[]
  /** Output of each layer's attention, before it joins the residual stream (N, dim). */
  readonly attentionOutputs: readonly Tensor[]
  /** After the final norm (N, dim) */
  readonly final: Tensor
  /** Logits (R, vocab) of the tokens in `rows` (R) i32, or of all. */
  logits(rows?: Tensor): Tensor
}

/** Builds one step's graph. */
export function decoder(spec: DecoderSpec, variants: Variants, values: ParamValues, step: DecoderStep): DecoderResult {
  const params = bindParams(decoderParams(spec, variants), values) as unknown as Bound<{
    embed: EmbeddingSpec
    norm: NormParams
    head: LinearSpec
  }> & { layers: Record<string, LayerBound> }
  const embedded = params.embed.lookup(step.ids) // (N, dim)
  const layers = layerStack(spec, variants, params.layers, embedded, step)
  const stream = [embedded, ...layers.map(l => l.output)]
  const final = norm(params.norm, stream[stream.length - 1], spec.norm)
  const { headScale = 1, layersPerBlock = 1 } = spec
  return {
    stream,
    hidden: [...stream.slice(0, -1).filter((_, i) => i % layersPerBlock === 0), final],
    attentionInputs: layers.map(l => l.input),
    attentionOutputs: layers.map(l => l.mixed),
    final,
    logits(rows) {
      const own = rows ? gatherRows(final, rows) : final
      const h = headScale === 1 ? own : mapWith(x => x.mul(headScale), [own])
      return spec.tied ? params.embed.project(h) : params.head(h)
    },
  }
}
