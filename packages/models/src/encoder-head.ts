import {
  activation,
  type Bound,
  type BoundLinear,
  type BoundNorm,
  type EmbeddingTable,
  linear,
  type NormSpec,
  norm,
  normParams,
  type ParamTree,
  vector,
} from '@attune/nn'
import { gatherRows, mapWith, type Tensor } from '@attune/tensor'

/** What is made of final states: each `hidden` map, then W x + b. */
export interface EncoderHeadSpec {
  readonly gives: 'logits' | 'pooled'
  /** Of each sequence's first token, or of every token. */
  readonly of: 'first' | 'tokens'
  readonly hidden?: readonly HeadMapSpec[]
  readonly size: number
  readonly activation?: string
  /** True by default. */
  readonly bias?: boolean
  /** W is the table of embeddings. */
  readonly tied?: boolean
}
/** norm(act(W x + b)). */
export interface HeadMapSpec {
  readonly size: number
  readonly activation: string
  /** True by default. */
  readonly bias?: boolean
  readonly norm?: NormSpec
}

/** Parameters of a head over states of width `dim`: `headMaps.<i>`, `head`, and `headBias` where the matrix is the embeddings' table. */
export function encoderHeadParams({ hidden = [], size, bias = true, tied = false }: EncoderHeadSpec, dim: number): ParamTree {
  const widths = [dim, ...hidden.map(m => m.size)]
  const maps = hidden.map((m, i) => ({
    map: linear({ in: widths[i] }, { out: m.size }, m.bias ?? true),
    ...(m.norm ? { norm: normParams(m.norm, m.size) } : {}),
  }))
  return {
    ...(maps.length > 0 ? { headMaps: Object.fromEntries(maps.map((m, i) => [String(i), m])) } : {}),
    ...(tied ? (bias ? { headBias: vector(size, 0) } : {}) : { head: linear({ dim: widths.at(-1)! }, { out: size }, bias) }),
  }
}

/** final (N, dim), first (B) i32 → (B, size), or (N, size) of every token. */
export function encoderHead(params: Bound<ParamTree>, spec: EncoderHeadSpec, final: Tensor, first: Tensor, table?: EmbeddingTable): Tensor {
  const p = params as unknown as {
    readonly headMaps?: Readonly<Record<string, { readonly map: BoundLinear; readonly norm?: BoundNorm }>>
    readonly head: BoundLinear
    readonly headBias?: Tensor
  }
  let x = spec.of === 'first' ? gatherRows(final, first) : final
  for (const [i, m] of (spec.hidden ?? []).entries()) {
    const own = p.headMaps![i]
    x = mapWith(activation(m.activation), [own.map(x)])
    if (m.norm) x = norm(own.norm!, x, m.norm)
  }
  const plain = spec.tied ? table!.project(x) : p.head(x)
  const out = p.headBias ? mapWith((y, b) => y.add(b), [plain, p.headBias]) : plain
  return spec.activation === undefined ? out : mapWith(activation(spec.activation), [out])
}
