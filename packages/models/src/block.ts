import { type BoundNorm, type NormSpec, norm } from '@attune/nn'
import { mapWith, type Tensor } from '@attune/tensor'
import type { ResidualSpec } from './spec.ts'

/** Values of one block on the residual stream, each (N, dim). */
export interface BlockResult {
  /** What the block read: the stream after its norm. */
  readonly input: Tensor
  /** What the block gave, before it joined the stream. */
  readonly mixed: Tensor
  /** The stream after the block. */
  readonly output: Tensor
}

/** A block with its norm before it: x (N, dim) + run(norm(x)), or as `residual` says. */
export function preNormBlock(
  x: Tensor,
  gain: BoundNorm,
  spec: NormSpec,
  residual: ResidualSpec | undefined,
  run: (input: Tensor) => Tensor,
): BlockResult {
  const input = norm(gain, x, spec)
  const mixed = run(input)
  if (!residual) return { input, mixed, output: add(x, mixed) }
  const { of, keep, add: factor } = residual
  const kept = of === 'norm' ? input : x
  return { input, mixed, output: mapWith((r, y) => r.mul(keep).add(y.mul(factor)), [kept, mixed]) }
}

export const add = (a: Tensor, b: Tensor): Tensor => mapWith((x, y) => x.add(y), [a, b])
