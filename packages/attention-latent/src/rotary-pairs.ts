import type { BridgeInput } from '@attune/attention'

export type Rotary = NonNullable<BridgeInput['rotary']>
/** Dimensions (a, b) of a head that turn together, read as the complex number a + ib. */
export type Pair = readonly [number, number]

/** The pairs of a head that positions turn, by frequency. */
export const rotaryPairs = ({ dims, pairing }: Rotary): Pair[] =>
  Array.from({ length: dims / 2 }, (_, i) => (pairing === 'half' ? [i, i + dims / 2] : [2 * i, 2 * i + 1]))

/** The dimensions of a head that positions leave alone. */
export const stillDims = (headDim: number, rotary?: Rotary): number[] =>
  Array.from({ length: headDim - (rotary?.dims ?? 0) }, (_, i) => i + (rotary?.dims ?? 0))
