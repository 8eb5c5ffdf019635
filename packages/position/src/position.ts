import type { Expr } from '@attune/expr'
import { ropeOf } from '@attune/ops'
import type { Tensor } from '@attune/tensor'
import type { RopeSpec } from './rope.ts'

/** Position values a layer may use, as data. */
export type PositionSpec = RopeSpec | { readonly kind: 'none' }

/** What a variant's `forward` sees of positions. */
export interface Position {
  /** x (N, heads, d) turned by each token's position; unchanged where positions do not rotate. */
  rotate(x: Tensor): Tensor
  /** A term of the score, where positions act there. */
  readonly score?: Expr
}

/** Frequencies (F) of a rotating spec and the factor on cos and sin: constants, or inputs of the step when they vary with the length. */
export interface RopeOperands {
  readonly frequencies: Tensor
  readonly factor: number
}

/** True when scores depend on the positions of keys, which must then be kept beside them. */
export const readsKeyPositions = (spec: PositionSpec): boolean => spec.kind !== 'rope' && spec.kind !== 'none'

/** Binds a spec to the positions (N) i32 of a step's tokens. */
export function bindPosition(spec: PositionSpec, positions: Tensor, rope: (spec: RopeSpec) => RopeOperands): Position {
  if (spec.kind === 'none') return { rotate: x => x }
  const { frequencies, factor } = rope(spec)
  return { rotate: x => ropeOf(x, positions, frequencies, { pairing: spec.pairing, factor }) }
}
