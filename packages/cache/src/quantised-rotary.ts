import { concatOf, ropeOf } from '@attune/ops'
import { type Tensor, tensor } from '@attune/tensor'
import type { LayerStates } from './keeper.ts'

/** Turns rows (N, heads, width) by an angle per pair of numbers that follows from their positions (N) i32. */
export type RowTurn = (x: Tensor, positions: Tensor) => Tensor

/** The turn that a layer's rotary positions give the numbers of a part from `at` on. Turning by −p undoes p. */
export function rotaryTurn({ frequencies, pairing }: NonNullable<LayerStates['rotary']>, at: number): RowTurn {
  const turning = 2 * frequencies.length
  const f = tensor(frequencies, [frequencies.length])
  return (x, positions) => {
    const width = x.shape[2] as number
    const turned = ropeOf(at === 0 ? x : x.slice(2, at, Math.min(width, at + turning)), positions, f, { pairing })
    if (at === 0) return turned
    const rest = at + turning < width ? [x.slice(2, at + turning, width)] : []
    return concatOf(x.slice(2, 0, at), turned, ...rest)
  }
}
