import { maskOf, type StateSpec, type StateView, type Variant } from '@attune/attention'
import {
  type Bound,
  bindParams,
  type EmbeddingSpec,
  embedding,
  gatedMlp,
  gatedMlpParams,
  type LinearSpec,
  linear,
  type ParamTree,
  type ParamValues,
  vector,
} from '@attune/nn'
import { rmsNormOf } from '@attune/ops'
import { bindPosition, type RopeOperands, type RopeSpec } from '@attune/position'
import { AttuneError, gatherRows, mapWith, type Tensor } from '@attune/tensor'
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

/** Parameters of a layer: `attention` holds the variant's own. */
export function layerParams({ dim }: DecoderSpec, layer: LayerSpec, variants: Variants): ParamTree {
  return {
    attentionNorm: vector(dim),
    attention: variantOf(variants, layer).params(layer.attention.config),
    mlpNorm: vector(dim),
    mlp: gatedMlpParams({ dim, ...layer.mlp }),
  }
}
/** The whole parameter tree: `embed`, `layers.<i>`, `norm`, and `head` unless tied. */
export function decoderParams(spec: DecoderSpec, variants: Variants): ParamTree {
  const layers = Object.fromEntries(spec.layers.map((l, i) => [String(i), layerParams(spec, l, variants)]))
  return {
    embed: embedding(spec.vocab, spec.dim),
    layers,
    norm: vector(spec.dim),
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
  /** State of a layer, given what its variant remembers. */
  state(layer: number, spec: StateSpec): StateView
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

type LayerBound = Bound<{
  attentionNorm: ReturnType<typeof vector>
  mlpNorm: ReturnType<typeof vector>
  mlp: ReturnType<typeof gatedMlpParams>
  attention: ParamTree
}>
type Context = Pick<DecoderStep, 'position' | 'rope'> & { state(spec: StateSpec): StateView }

/** Values of one layer, each (N, dim). */
export interface LayerResult {
  /** Input of the attention, after its norm. */
  readonly input: Tensor
  /** Output of the attention, before it joins the residual stream. */
  readonly mixed: Tensor
  /** Residual stream after the layer. */
  readonly output: Tensor
}

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
  { dim, norm }: DecoderSpec,
  layer: LayerSpec,
  variants: Variants,
  p: LayerBound,
  x: Tensor,
  { position, rope, state }: Context,
): LayerResult {
  const variant = variantOf(variants, layer)
  const config = layer.attention.config
  const input = rmsNormOf(x, p.attentionNorm, norm.eps)
  const mixed = variant.forward({
    x: input,
    params: p.attention,
    position: bindPosition(layer.attention.position, position, rope),
    state: state(variant.state(config)),
    mask: maskOf(layer.attention.mask),
    config,
  })
  const middle = add(x, mixed)
  const output = add(middle, gatedMlp(p.mlp, rmsNormOf(middle, p.mlpNorm, norm.eps), { dim, ...layer.mlp }))
  return { input, mixed, output }
}

/** Builds one step's graph. */
export function decoder(spec: DecoderSpec, variants: Variants, values: ParamValues, step: DecoderStep): DecoderResult {
  const params = bindParams(decoderParams(spec, variants), values) as unknown as Bound<{
    embed: EmbeddingSpec
    norm: ReturnType<typeof vector>
    head: LinearSpec
  }> & { layers: Record<string, LayerBound> }
  let x = params.embed.lookup(step.ids) // (N, dim)
  const stream = [x]
  const layers = spec.layers.map((layer, i) => {
    const result = layerOf(spec, layer, variants, params.layers[i], x, { ...step, state: s => step.state(i, s) })
    stream.push((x = result.output))
    return result
  })
  const final = rmsNormOf(x, params.norm, spec.norm.eps)
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
const add = (a: Tensor, b: Tensor): Tensor => mapWith((x, y) => x.add(y), [a, b])
