import { maskOf, type StateView, type Variant } from '@attune/attention'
import {
  array,
  type Bound,
  bindParams,
  feedForward,
  feedForwardParams,
  type NormParams,
  type NormSpec,
  normParams,
  type ParamTree,
  type ParamValues,
} from '@attune/nn'
import { bindPosition, positionTable, type RopeOperands, type RopeSpec } from '@attune/position'
import { AttuneError, type Tensor } from '@attune/tensor'
import { type BlockResult, preNormBlock } from './block.ts'
import type { LayerSpec } from './spec.ts'

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

/** The residual stream that layers work on. */
export interface StreamSpec {
  readonly dim: number
  readonly norm: NormSpec
}

/**
 * Parameters of a layer: `attention` holds the variant's own; `position` the table of positions that have one and do not read another
 * layer's; a layer without a feed-forward block lacks `mlpNorm` and `mlp`.
 */
export function layerParams({ dim, norm }: StreamSpec, layer: LayerSpec, variants: Variants): ParamTree {
  const mlp = feedForwardParams(layer.mlp, dim)
  const table = positionTable(layer.attention.position)
  return {
    attentionNorm: normParams(norm, dim),
    attention: variantOf(variants, layer).params(layer.attention.config),
    ...(table && table.layer === undefined ? { position: { table: array(table.shape) } } : {}),
    ...(mlp ? { mlpNorm: normParams(norm, dim), mlp } : {}),
  }
}
/** Parameters of all layers, by index. */
export const layersParams = (spec: StreamSpec & { readonly layers: readonly LayerSpec[] }, variants: Variants): ParamTree =>
  Object.fromEntries(spec.layers.map((l, i) => [String(i), layerParams(spec, l, variants)]))

export type LayerBound = Bound<{ attentionNorm: NormParams; attention: ParamTree; mlpNorm: NormParams; mlp: ParamTree }> & {
  readonly position?: { readonly table: Tensor }
}

/** What a layer needs of a step. */
export interface LayerContext {
  /** Position of each token (N) i32 */
  readonly position: Tensor
  readonly rope: (spec: RopeSpec) => RopeOperands
  /** State of the layer, given its attention's parameters. */
  state(params: unknown): StateView
  /** The table of another layer that this one's positions read. */
  readonly table?: Tensor
}

/** Values of one layer, each (N, dim): `input` and `mixed` are its attention's, `output` is the stream after the whole layer. */
export type LayerResult = BlockResult

/** One layer alone: x (N, dim) is the residual stream before it; `values` are the layer's own, by their path inside it (`attention.q`). */
export function decoderLayer(
  spec: StreamSpec,
  layer: LayerSpec,
  variants: Variants,
  values: ParamValues,
  x: Tensor,
  context: LayerContext,
): LayerResult {
  return layerOf(spec, layer, variants, bindParams(layerParams(spec, layer, variants), values) as unknown as LayerBound, x, context)
}

function layerOf(
  spec: StreamSpec,
  layer: LayerSpec,
  variants: Variants,
  p: LayerBound,
  x: Tensor,
  { position, rope, state, table }: LayerContext,
): LayerResult {
  const { attention, mlp } = layer
  const variant = variantOf(variants, layer)
  const { config } = attention
  const attended = preNormBlock(x, p.attentionNorm, spec.norm, attention.residual, input =>
    variant.forward({
      x: input,
      params: p.attention,
      position: bindPosition(attention.position, position, rope, p.position?.table ?? table),
      state: state(p.attention),
      mask: maskOf(attention.mask),
      config,
    }),
  )
  if (mlp.kind === 'none') return attended
  const { output } = preNormBlock(attended.output, p.mlpNorm, spec.norm, mlp.residual, input => feedForward(p.mlp, input, mlp))
  return { ...attended, output }
}

/** What a stack of layers needs of a step. */
export type StackContext = Omit<LayerContext, 'state' | 'table'> & { state(layer: number, params: unknown): StateView }

/** Layers one after another over the stream x (N, dim). */
export function layerStack(
  spec: StreamSpec & { readonly layers: readonly LayerSpec[] },
  variants: Variants,
  params: Readonly<Record<string, LayerBound>>,
  x: Tensor,
  { position, rope, state }: StackContext,
): LayerResult[] {
  const results: LayerResult[] = []
  for (const [i, layer] of spec.layers.entries()) {
    const shared = positionTable(layer.attention.position)?.layer
    const table = shared === undefined ? undefined : params[shared].position?.table
    results.push(layerOf(spec, layer, variants, params[i], results.at(-1)?.output ?? x, { position, rope, state: p => state(i, p), table }))
  }
  return results
}
