import type { ParamValues } from '@attune/nn'
import type { PositionSpec } from '@attune/position'

/** How close a conversion stays to its source. */
export type Exactness = 'exact' | 'exact-at-full-rank' | 'least-squares' | 'approximate' | 'needs-training'

/** What a calibrated bridge may ask for: the second moments of a layer's inputs, from which those of any projection of them follow. */
export interface Calibration {
  /** Σ yᵀy over the layer inputs after the norm, a constant 1 appended for biases, y = [x 1]: (dim + 1)², row-major. */
  readonly gram: Float64Array
  readonly tokens: number
}

export interface BridgeInput<A = any, B = any> {
  readonly from: A
  readonly to: B
  readonly params: ParamValues
  /** Position values of the layer: what a bridge may mix without breaking them. */
  readonly rotary?: { readonly dims: number; readonly pairing: 'half' | 'interleaved' }
  /** Positions of the layer in full. */
  readonly position?: PositionSpec
  /** Present when the bridge `needs` it. */
  readonly calibration?: Calibration
  readonly seed: number
  /** Settings of the method; a bridge refuses those it does not know. */
  readonly options?: Readonly<Record<string, unknown>>
  /** Takes figures about the conversion, such as the share of energy that was dropped. */
  readonly report?: (figures: Readonly<Record<string, number>>) => void
  /** Takes the positions that the converted layer needs where they are others than the source's. */
  readonly place?: (position: PositionSpec) => void
}

/** A conversion of one layer's parameters from a variant to another. */
export interface Bridge<A = any, B = any> {
  /** Name among the bridges of the same pair: `repeat`, `mean`, `aligned`, `least-squares`. */
  readonly name: string
  readonly from: string
  readonly to: string
  readonly exactness: Exactness
  readonly paper?: string
  /** What its tests compare it with that nobody here wrote. */
  readonly oracle?: string
  readonly needs?: 'calibration'
  /** Why it cannot be used for this layer, or undefined. */
  why?(input: Pick<BridgeInput<A, B>, 'from' | 'to' | 'params' | 'rotary' | 'position' | 'options'>): string | undefined
  /** Config of the target for a source layer and the caller's wishes. */
  config(from: A, wish: Partial<B>, layer?: Pick<BridgeInput, 'rotary'>): B
  params(input: BridgeInput<A, B>): Promise<ParamValues>
}

export const bridge = <A, B>(b: Bridge<A, B>): Bridge<A, B> => Object.freeze({ ...b })
