import { maskOf, type StateView, type Variant } from '@attune/attention'
import {
  array,
  type Bound,
  type BoundNorm,
  bindParams,
  feedForward,
  feedForwardParams,
  type NormSpec,
  type ParamTree,
  type ParamValues,
} from '@attune/nn'
import { bindPosition, positionTable, type RopeOperands, type RopeSpec } from '@attune/position'
import { AttuneError, type Tensor } from '@attune/tensor'
import { type BlockNorms, type BlockResult, block, blockNorms } from './block.ts'
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
 * layer's; norms are those the layer's blocks have (`attentionNorm`, `attentionOutputNorm`, `mlpNorm`, `mlpOutputNorm`).
 */
export function layerParams({ dim, norm }: StreamSpec, layer: LayerSpec, variants: Variants): ParamTree {
  const mlp = feedForwardParams(layer.mlp, dim)
  const table = positionTable(layer.attention.position)
  const attention = blockNorms(layer.attention, norm, dim)
  const after = blockNorms(layer.mlp, norm, dim)
  return {
    ...(attention.norm ? { attentionNorm: attention.norm } : {}),
    attention: variantOf(variants, layer).params(layer.attention.config),
    ...(attention.outputNorm ? { attentionOutputNorm: attention.outputNorm } : {}),
    ...(table && table.layer === undefined ? { position: { table: array(table.shape) } } : {}),
    ...(mlp && after.norm && layer.parallel !== 'shared' ? { mlpNorm: after.norm } : {}),
    ...(mlp ? { mlp } : {}),
    ...(mlp && after.outputNorm ? { mlpOutputNorm: after.outputNorm } : {}),
  }
}
/** Parameters of all layers, by index. */
export const layersParams = (spec: StreamSpec & { readonly layers: readonly LayerSpec[] }, variants: Variants): ParamTree =>
  Object.fromEntries(spec.layers.map((l, i) => [String(i), layerParams(spec, l, variants)]))

export type LayerBound = Bound<{ attention: ParamTree; mlp: ParamTree }> & {
  readonly attentionNorm?: BoundNorm
  readonly attentionOutputNorm?: BoundNorm
  readonly mlpNorm?: BoundNorm
  readonly mlpOutputNorm?: BoundNorm
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
  const norms: BlockNorms<BoundNorm> = { norm: p.attentionNorm, outputNorm: p.attentionOutputNorm }
  const attended = block(x, norms, spec.norm, attention, input =>
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
  const { parallel } = layer
  const after: BlockNorms<BoundNorm> = { norm: p.mlpNorm, outputNorm: p.mlpOutputNorm }
  const reads = parallel === 'own' ? { from: x } : parallel === 'shared' ? { given: attended.input } : {}
  const { output } = block(attended.output, after, spec.norm, mlp, input => feedForward(p.mlp, input, mlp), reads)
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
