import { array, type BoundNorm, linear, type NormSpec, norm, normParams, type ParamTree } from '@attune/nn'
import { gatherRows, mapWith, type Tensor } from '@attune/tensor'

/** What becomes of token embeddings, in this order: scaled, widened, joined by positions and token types, normed. Plain data. */
export interface EmbedSpec {
  /** Factor on the embeddings. */
  readonly scale?: number
  /** Width of the table where it is not the stream's: `in` widens its rows, `out` narrows final states before the output projection. */
  readonly width?: number
  /** A learned row is added per position p: row `first + p` of `rows`. */
  readonly positions?: { readonly rows: number; readonly first: number }
  /** A learned row is added per type of a token. */
  readonly types?: number
  readonly norm?: NormSpec
}

/** Positions that a learned table serves; unbounded without one. */
export const positionLimit = ({ positions }: EmbedSpec = {}): number =>
  positions ? positions.rows - positions.first : Number.POSITIVE_INFINITY

/** Parameters beside the table of embeddings itself. */
export function embedParams({ width, positions, types, norm: after }: EmbedSpec, dim: number): ParamTree {
  return {
    ...(width === undefined ? {} : { in: linear({ width }, { dim }), out: linear({ dim }, { width }) }),
    ...(positions ? { positions: array([positions.rows, dim], { spread: 0.02 }) } : {}),
    ...(types === undefined ? {} : { types: array([types, dim], { spread: 0.02 }) }),
    ...(after ? { norm: normParams(after, dim) } : {}),
  }
}

/** x (N, width) rows of the table → (N, dim); `position` (N) i32, `type` (N) i32 where the Spec has types. */
export function embedded(
  params: unknown,
  x: Tensor,
  { scale = 1, positions, norm: after }: EmbedSpec,
  { position, type }: { readonly position: Tensor; readonly type?: Tensor },
): Tensor {
  const p = params as { in?: (x: Tensor) => Tensor; positions: Tensor; types: Tensor; norm: BoundNorm }
  let out = scale === 1 ? x : mapWith(e => e.mul(scale), [x])
  if (p.in) out = p.in(out)
  if (positions)
    out = plus(out, gatherRows(p.positions, positions.first === 0 ? position : mapWith(i => i.add(positions.first), [position])))
  if (type) out = plus(out, gatherRows(p.types, type))
  return after ? norm(p.norm, out, after) : out
}

const plus = (a: Tensor, b: Tensor): Tensor => mapWith((x, y) => x.add(y), [a, b])
