import type { StateView } from '@attune/attention'
import {
  type Bound,
  type BoundNorm,
  bindParams,
  type EmbeddingSpec,
  embedding,
  type LinearSpec,
  linear,
  norm,
  normParams,
  type ParamTree,
  type ParamValues,
  type VectorSpec,
  vector,
} from '@attune/nn'
import type { RopeOperands, RopeSpec } from '@attune/position'
import { gatherRows, mapWith, type Tensor } from '@attune/tensor'
import { embedded, embedParams } from './embed.ts'
import { innerEncoderParams } from './encoder.ts'
import { type LayerBound, layerStack, layersParams, type Variants } from './layers.ts'
import type { DecoderSpec } from './spec.ts'

/** The whole parameter tree: `embed`, what else embeds under `embedding`, `layers.<i>`, `norm`, and `head` unless tied; `encoder` where there is one. */
export function decoderParams(spec: DecoderSpec, variants: Variants): ParamTree {
  const { finalNorm = true, headBias = false } = spec
  const width = spec.embed?.width ?? spec.dim
  return {
    embed: embedding(spec.vocab, width),
    ...(spec.embed ? { embedding: embedParams(spec.embed, spec.dim) } : {}),
    layers: layersParams(spec, variants),
    ...(finalNorm ? { norm: normParams(spec.norm, spec.dim) } : {}),
    ...(spec.tied ? {} : { head: linear({ width }, { vocab: spec.vocab }, headBias) }),
    ...(spec.tied && headBias ? { headBias: vector(spec.vocab, 0) } : {}),
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
  const params = bindParams(decoderParams(spec, variants), values) as unknown as DecoderBound
  const first = embedTokens(params, step, spec)
  const layers = layerStack(spec, variants, params.layers, first, step)
  const stream = [first, ...layers.map(l => l.output)]
  const last = stream[stream.length - 1]
  const final = params.norm ? norm(params.norm, last, spec.norm) : last
  const { layersPerBlock = 1 } = spec
  return {
    stream,
    hidden: [...stream.slice(0, -1).filter((_, i) => i % layersPerBlock === 0), final],
    attentionInputs: layers.map(l => l.input),
    attentionOutputs: layers.map(l => l.mixed),
    final,
    logits: rows => logitsOf(params, rows ? gatherRows(final, rows) : final, spec),
  }
}

/** The residual stream before the first layer (N, dim), alone: ids and position (N) i32. */
export function decoderInput(spec: DecoderSpec, values: ParamValues, step: Pick<DecoderStep, 'ids' | 'position'>): Tensor {
  const { embed, embedding: more } = decoderParams({ ...spec, layers: [], encoder: undefined }, new Map())
  return embedTokens(bindParams({ embed, ...(more ? { embedding: more } : {}) }, values) as unknown as DecoderBound, step, spec)
}

/** Logits (N, vocab) of a residual stream after the last layer (N, dim), alone. */
export function decoderOutput(spec: DecoderSpec, values: ParamValues, x: Tensor): Tensor {
  const { layers: _, ...tree } = decoderParams({ ...spec, layers: [], encoder: undefined }, new Map())
  const params = bindParams(tree, values) as unknown as DecoderBound
  return logitsOf(params, params.norm ? norm(params.norm, x, spec.norm) : x, spec)
}

type DecoderBound = Bound<{ embed: EmbeddingSpec; embedding: ParamTree; head: LinearSpec; headBias: VectorSpec }> & {
  readonly norm?: BoundNorm
  readonly layers: Record<string, LayerBound>
}

function embedTokens(p: DecoderBound, { ids, position }: Pick<DecoderStep, 'ids' | 'position'>, { embed }: DecoderSpec): Tensor {
  const rows = p.embed.lookup(ids) // (N, width)
  return embed ? embedded(p.embedding, rows, embed, { position }) : rows
}

function logitsOf(p: DecoderBound, states: Tensor, { headScale = 1, logitCap: cap, tied, embed }: DecoderSpec): Tensor {
  const scaled = headScale === 1 ? states : mapWith(x => x.mul(headScale), [states])
  const own = embed?.width === undefined ? scaled : (p.embedding.out as (x: Tensor) => Tensor)(scaled)
  const plain = tied ? p.embed.project(own) : p.head(own)
  const logits = p.headBias ? mapWith((x, b) => x.add(b), [plain, p.headBias]) : plain
  return cap === undefined ? logits : mapWith(x => x.div(cap).tanh().mul(cap), [logits])
}
