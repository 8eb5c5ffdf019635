import { type BoundNorm, type NormParams, type NormSpec, norm, normParams } from '@attune/nn'
import { mapWith, type Tensor } from '@attune/tensor'
import type { BlockSpec } from './spec.ts'

/** Norms of a block: of what it reads, or of the stream it joined; and of what it gives. */
export interface BlockNorms<T> {
  readonly norm?: T
  readonly outputNorm?: T
}
export function blockNorms({ norm: place = 'before' }: BlockSpec, spec: NormSpec, dim: number): BlockNorms<NormParams> {
  return {
    ...(place === 'after' || place === 'none' ? {} : { norm: normParams(spec, dim) }),
    ...(place === 'after' || place === 'around' ? { outputNorm: normParams(spec, dim) } : {}),
  }
}

/** Values of one block on the residual stream, each (N, dim). */
export interface BlockResult {
  /** What the block read: the stream, after its norm where that comes first. */
  readonly input: Tensor
  /** What the block gave, before a norm of its own and before it joined the stream. */
  readonly mixed: Tensor
  /** The stream after the block. */
  readonly output: Tensor
}

/** A block on the stream x (N, dim). `from` is what it reads instead of x, `given` what it reads as it is. */
export function block(
  x: Tensor,
  params: BlockNorms<BoundNorm>,
  spec: NormSpec,
  { norm: place = 'before', residual }: BlockSpec,
  run: (input: Tensor) => Tensor,
  { from = x, given }: { readonly from?: Tensor; readonly given?: Tensor } = {},
): BlockResult {
  const first = place === 'before' || place === 'around'
  const input = given ?? (first ? norm(params.norm!, from, spec) : from)
  const mixed = run(input)
  const own = params.outputNorm ? norm(params.outputNorm, mixed, spec) : mixed
  const joined = residual
    ? mapWith((r, y) => r.mul(residual.keep).add(y.mul(residual.add)), [residual.of === 'norm' ? input : x, own])
    : add(x, own)
  return { input, mixed, output: place === 'stream' ? norm(params.norm!, joined, spec) : joined }
}

const add = (a: Tensor, b: Tensor): Tensor => mapWith((x, y) => x.add(y), [a, b])
