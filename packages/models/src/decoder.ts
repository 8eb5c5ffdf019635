import { maskOf, type StateView, type Variant } from '@attune/attention'
import {
  type Bound,
  bindParams,
  type EmbeddingSpec,
  embedding,
  feedForward,
  feedForwardParams,
  type LinearSpec,
  linear,
  norm,
  normParams,
  type ParamTree,
  type ParamValues,
  type VectorSpec,
} from '@attune/nn'
import { bindPosition, type RopeOperands, type RopeSpec } from '@attune/position'
import { AttuneError, gatherRows, type Tensor } from '@attune/tensor'
import { type BlockResult, preNormBlock } from './block.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** Variants by name, as the kit was given them. */
export type Variants = ReadonlyMap<string, Variant>

export function variantOf(variants: Variants, layer: LayerSpec): Variant {
  const v = variants.get(layer.attention.variant)
  if (!v)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `attention variant '${layer.attention.variant}' is not among ${[...variants.keys()].join(', ')}`,
      { variant: layer.attention.variant },
    )
  return v
}

/** Parameters of a layer: `attention` holds the variant's own; a layer without a feed-forward block lacks `mlpNorm` and `mlp`. */
export function layerParams({ dim, norm }: DecoderSpec, layer: LayerSpec, variants: Variants): ParamTree {
  const mlp = feedForwardParams(layer.mlp, dim)
  return {
    attentionNorm: normParams(norm, dim),
    attention: variantOf(variants, layer).params(layer.attention.config),
    ...(mlp ? { mlpNorm: normParams(norm, dim), mlp } : {}),
  }
}
/** The whole parameter tree: `embed`, `layers.<i>`, `norm`, and `head` unless tied. */
export function decoderParams(spec: DecoderSpec, variants: Variants): ParamTree {
  const layers = Object.fromEntries(spec.layers.map((l, i) => [String(i), layerParams(spec, l, variants)]))
  return {
    embed: embedding(spec.vocab, spec.dim),
    layers,
    norm: normParams(spec.norm, spec.dim),
    ...(spec.tied ? {} : { head: linear({ dim: spec.dim }, { vocab: spec.vocab }) }),
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
  /** Input of each layer's attention, after its norm (N, dim). */
  readonly attentionInputs: readonly Tensor[]
  /** Output of each layer's attention, before it joins the residual stream (N, dim). */
  readonly attentionOutputs: readonly Tensor[]
  /** After the final norm (N, dim) */
  readonly final: Tensor
  /** Logits (R, vocab) of the tokens in `rows` (R) i32, or of all. */
  logits(rows?: Tensor): Tensor
}

type LayerBound = Bound<{ attentionNorm: VectorSpec; attention: ParamTree; mlpNorm: VectorSpec; mlp: ParamTree }>
type Context = Pick<DecoderStep, 'position' | 'rope'> & { state(params: unknown): StateView }

/** Values of one layer, each (N, dim): `input` and `mixed` are its attention's, `output` is the stream after the whole layer. */
export type LayerResult = BlockResult

/** One layer alone: x (N, dim) is the residual stream before it; `values` are the layer's own, by their path inside it (`attention.q`). */
export function decoderLayer(
  spec: DecoderSpec,
  layer: LayerSpec,
  variants: Variants,
  values: ParamValues,
  x: Tensor,
  context: Context,
): LayerResult {
  const params = bindParams(layerParams(spec, layer, variants), values) as unknown as LayerBound
  return layerOf(spec, layer, variants, params, x, context)
}

function layerOf(
  spec: DecoderSpec,
  layer: LayerSpec,
  variants: Variants,
  p: LayerBound,
  x: Tensor,
  { position, rope, state }: Context,
): LayerResult {
  const { attention, mlp } = layer
  const variant = variantOf(variants, layer)
  const { config } = attention
  const attended = preNormBlock(x, p.attentionNorm, spec.norm, attention.residual, input =>
    variant.forward({
      x: input,
      params: p.attention,
      position: bindPosition(attention.position, position, rope),
      state: state(p.attention),
      mask: maskOf(attention.mask),
      config,
    }),
  )
  if (mlp.kind === 'none') return attended
  const { output } = preNormBlock(attended.output, p.mlpNorm, spec.norm, mlp.residual, input => feedForward(p.mlp, input, mlp))
  return { ...attended, output }
}

/** Builds one step's graph. */
export function decoder(spec: DecoderSpec, variants: Variants, values: ParamValues, step: DecoderStep): DecoderResult {
  const params = bindParams(decoderParams(spec, variants), values) as unknown as Bound<{
    embed: EmbeddingSpec
    norm: VectorSpec
    head: LinearSpec
  }> & { layers: Record<string, LayerBound> }
  let x = params.embed.lookup(step.ids) // (N, dim)
  const stream = [x]
  const layers = spec.layers.map((layer, i) => {
    const result = layerOf(spec, layer, variants, params.layers[i], x, { ...step, state: params => step.state(i, params) })
    stream.push((x = result.output))
    return result
  })
  const final = norm(params.norm, x, spec.norm)
  return {
    stream,
    attentionInputs: layers.map(l => l.input),
    attentionOutputs: layers.map(l => l.mixed),
    final,
    logits(rows) {
      const h = rows ? gatherRows(final, rows) : final
      return spec.tied ? params.embed.project(h) : params.head(h)
    },
  }
}
