import type { StateView } from '@attune/attention'
import {
  type Bound,
  type BoundNorm,
  bindParams,
  type EmbeddingTable,
  norm,
  normParams,
  type ParamTree,
  type ParamValues,
  underPrefix,
} from '@attune/nn'
import type { RopeOperands, RopeSpec } from '@attune/position'
import { AttuneError, type Tensor } from '@attune/tensor'
import { encoderHead, encoderHeadParams } from './encoder-head.ts'
import { inputKind } from './encoder-input.ts'
import type { EncoderSpec } from './encoder-spec.ts'
import { type LayerBound, layerStack, layersParams, type Variants } from './layers.ts'
import type { DecoderSpec } from './spec.ts'

/** An encoder: its Spec and its weights. */
export interface EncoderModel {
  readonly spec: EncoderSpec
  readonly values: ParamValues
  readonly variants: Variants
}

/** The whole parameter tree: `input`, `layers.<i>`, `norm`, and the head's where there is one. */
export const encoderParams = (spec: EncoderSpec, variants: Variants): ParamTree => ({
  input: inputKind(spec.input).params(spec.input, spec.dim),
  layers: layersParams(spec, variants),
  ...((spec.finalNorm ?? true) ? { norm: normParams(spec.norm, spec.dim) } : {}),
  ...(spec.head ? encoderHeadParams(spec.head, spec.dim) : {}),
})

/** Parameters of an encoder inside another model: those that it does not share. */
export function innerEncoderParams(spec: EncoderSpec, variants: Variants): ParamTree {
  const { input, ...own } = encoderParams(spec, variants)
  return sharesTable(spec) ? own : { input, ...own }
}
const sharesTable = ({ input }: EncoderSpec): boolean => input.kind === 'tokens' && input.table === 'decoder'

/** The encoder of an encoder-decoder. Errors: `ERR_UNSUPPORTED` where the model has none. */
export function encoderOf(model: { readonly spec: DecoderSpec; readonly values: ParamValues; readonly variants: Variants }): EncoderModel {
  const { spec, values, variants } = model
  if (!spec.encoder) throw new AttuneError('ERR_UNSUPPORTED', `a model of type '${spec.type}' has no encoder`, { type: spec.type })
  const own = underPrefix(values, 'encoder')
  return { spec: spec.encoder, variants, values: sharesTable(spec.encoder) ? own.set('input.table', values.get('embed')!) : own }
}

/** What an encoder needs of one step. */
export interface EncoderStep {
  /** Embeds the step's inputs (N, dim). */
  embed(params: unknown): Tensor
  /** Position of each token (N) i32 */
  readonly position: Tensor
  readonly rope: (spec: RopeSpec) => RopeOperands
  /** Index of each batch row's first token (B) i32; −1 where it has none. */
  readonly first: Tensor
  /** State of a layer, given its attention's parameters. */
  state(layer: number, params: unknown): StateView
}

export interface EncoderResult {
  /** Residual stream (N, dim): embeddings, then after each layer. */
  readonly stream: readonly Tensor[]
  /** The hidden states that transformers lists: embeddings, after each layer, the last after the final norm where the Spec does not say otherwise. */
  readonly hidden: readonly Tensor[]
  /** After the final norm (N, dim) */
  readonly final: Tensor
  /** What the head makes of each batch row (B, size), or of each token (N, size). */
  readonly head?: Tensor
}

/** Builds one step's graph. */
export function encoder({ spec, values, variants }: EncoderModel, step: EncoderStep): EncoderResult {
  const params = bindParams(encoderParams(spec, variants), values) as unknown as Bound<ParamTree> & {
    norm?: BoundNorm
    input: { readonly table?: EmbeddingTable }
    layers: Record<string, LayerBound>
  }
  const embedded = step.embed(params.input)
  const stream = [embedded, ...layerStack(spec, variants, params.layers, embedded, step).map(l => l.output)]
  const last = stream[stream.length - 1]
  const final = params.norm ? norm(params.norm, last, spec.norm) : last
  const hidden = spec.lastHidden === 'stream' ? stream : [...stream.slice(0, -1), final]
  if (!spec.head) return { stream, hidden, final }
  return { stream, hidden, final, head: encoderHead(params, spec.head, final, step.first, params.input.table) }
}
