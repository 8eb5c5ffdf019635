import type { Tensor } from '@attune/tensor'
import {
  type GatedMlpConfig,
  type GatedMlpParams,
  gatedMlp,
  gatedMlpParams,
  type PlainMlpConfig,
  type PlainMlpParams,
  plainMlp,
  plainMlpParams,
} from './mlp.ts'
import { type MoeConfig, moe, moeParams } from './moe.ts'
import { type Bound, countParams, type ParamTree } from './params.ts'

/** The feed-forward half of a layer, as data. */
export type FeedForwardSpec =
  | ({ readonly kind: 'gated' } & Omit<GatedMlpConfig, 'dim'>)
  | ({ readonly kind: 'plain' } & Omit<PlainMlpConfig, 'dim'>)
  | ({ readonly kind: 'moe' } & Omit<MoeConfig, 'dim'>)
  /** The layer has none (Mamba). */
  | { readonly kind: 'none' }

type Kind = FeedForwardSpec['kind']
interface FeedForward<S> {
  params(spec: S, dim: number): ParamTree
  forward(params: any, x: Tensor, spec: S): Tensor
  /** Numbers that a token passes by. */
  idle?(spec: S, dim: number): number
}
const kinds: { readonly [K in Exclude<Kind, 'none'>]: FeedForward<Extract<FeedForwardSpec, { kind: K }>> } = {
  gated: {
    params: (spec, dim) => gatedMlpParams({ dim, ...spec }),
    forward: (params: Bound<GatedMlpParams>, x, spec) => gatedMlp(params, x, spec),
  },
  plain: {
    params: (spec, dim) => plainMlpParams({ dim, ...spec }),
    forward: (params: Bound<PlainMlpParams>, x, spec) => plainMlp(params, x, spec),
  },
  moe: {
    params: (spec, dim) => moeParams({ dim, ...spec }),
    forward: moe,
    idle: (spec, dim) => countParams(moeParams({ dim, ...spec }).experts) * (1 - spec.router.perToken / spec.router.experts),
  },
}

/** Parameters of a feed-forward block on a residual stream of width `dim`; undefined where there is none. */
export const feedForwardParams = (spec: FeedForwardSpec, dim: number): ParamTree | undefined =>
  spec.kind === 'none' ? undefined : kinds[spec.kind].params(spec as never, dim)
/** x (N, dim) → (N, dim) */
export const feedForward = (params: Bound<ParamTree>, x: Tensor, spec: Exclude<FeedForwardSpec, { kind: 'none' }>): Tensor =>
  kinds[spec.kind].forward(params, x, spec as never)
/** Numbers of the block that one token does not use: those of the experts it is not sent to. */
export const idleNumbers = (spec: FeedForwardSpec, dim: number): number =>
  spec.kind === 'none' ? 0 : ((kinds[spec.kind] as FeedForward<unknown>).idle?.(spec, dim) ?? 0)
