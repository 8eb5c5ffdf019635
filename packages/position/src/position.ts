import type { Expr } from '@attune/expr'
import { ropeOf } from '@attune/ops'
import { AttuneError, mapWith, type Tensor } from '@attune/tensor'
import { type AlibiSpec, alibiScore } from './alibi.ts'
import type { RopeSpec } from './rope.ts'
import { type T5BiasSpec, t5Score } from './t5-bias.ts'

/** Position values a layer may use, as data. */
export type PositionSpec = RopeSpec | T5BiasSpec | AlibiSpec | { readonly kind: 'none' }

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
  /** Frequencies (F) of the tokens for which `tokens` (N) i32 is not 0: their sequences are longer than others may be. */
  readonly beyond?: { readonly frequencies: Tensor; readonly tokens: Tensor }
}

/** True when scores depend on the positions of keys, which must then be kept beside them. */
export const readsKeyPositions = (spec: PositionSpec): boolean => spec.kind !== 'rope' && spec.kind !== 'none'

/** Shape of the learned table a layer's positions read; `layer` where it is another layer's. */
export const positionTable = (spec: PositionSpec): { readonly shape: readonly number[]; readonly layer?: number } | undefined =>
  spec.kind === 't5' ? { shape: [spec.buckets, spec.heads], layer: spec.layer } : undefined

/** Binds a spec to the positions (N) i32 of a step's tokens, and to its learned table where it reads one. */
export function bindPosition(spec: PositionSpec, positions: Tensor, rope: (spec: RopeSpec) => RopeOperands, learned?: Tensor): Position {
  switch (spec.kind) {
    case 'none':
      return { rotate: same }
    case 'alibi':
      return { rotate: same, score: alibiScore(spec) }
    case 't5':
      if (!learned)
        throw new AttuneError('ERR_ARGUMENT', `a layer reads the position table of layer ${spec.layer}, which is not here`, { spec })
      return { rotate: same, score: t5Score(spec, learned, positions) }
    case 'rope': {
      const { frequencies, factor, beyond } = rope(spec)
      const turned = (x: Tensor, by: Tensor): Tensor => ropeOf(x, positions, by, { pairing: spec.pairing, factor })
      if (!beyond) return { rotate: x => turned(x, frequencies) }
      const far = beyond.tokens.unsqueeze(1).unsqueeze(2) // (N, 1, 1)
      return {
        rotate: x => mapWith((a, b, t) => t.ne(0).select(b, a), [turned(x, frequencies), turned(x, beyond.frequencies), far]),
      }
    }
    default:
      throw new AttuneError('ERR_UNSUPPORTED', `position '${(spec as { kind: string }).kind}' is not known`, { spec })
  }
}

const same = (x: Tensor): Tensor => x
