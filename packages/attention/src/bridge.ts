import type { ParamValues } from '@attune/nn'

/** How close a conversion stays to its source. */
export type Exactness = 'exact' | 'exact-at-full-rank' | 'least-squares' | 'approximate' | 'needs-training'

/** Data a calibrated bridge may ask for. */
export interface Calibration {
  /** Layer inputs after the norm, row-major (tokens, dim) f32. */
  readonly inputs: Float32Array
  readonly tokens: number
}

export interface BridgeInput<A = any, B = any> {
  readonly from: A
  readonly to: B
  readonly params: ParamValues
  /** Position values of the layer: what a bridge may mix without breaking them. */
  readonly rotary?: { readonly dims: number; readonly pairing: 'half' | 'interleaved' }
  /** Present when the bridge `needs` it. */
  readonly calibration?: Calibration
  readonly seed: number
}

/** A conversion of one layer's parameters from a variant to another. */
export interface Bridge<A = any, B = any> {
  /** Name among the bridges of the same pair: `repeat`, `mean`, `aligned`, `least-squares`. */
  readonly name: string
  readonly from: string
  readonly to: string
  readonly exactness: Exactness
  readonly paper?: string
  readonly needs?: 'inputs'
  /** Why it cannot be used for this layer, or undefined. */
  why?(input: Pick<BridgeInput<A, B>, 'from' | 'to' | 'params' | 'rotary'>): string | undefined
  /** Config of the target for a source layer and the caller's wishes. */
  config(from: A, wish: Partial<B>): B
  params(input: BridgeInput<A, B>): Promise<ParamValues>
}

export const bridge = <A, B>(b: Bridge<A, B>): Bridge<A, B> => Object.freeze({ ...b })
