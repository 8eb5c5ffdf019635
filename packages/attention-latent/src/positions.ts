import { type PositionSpec, type RopeSpec, ropeFrequencies } from '@attune/position'

/** Positions of a layer whose rotated numbers, pair by pair (2i, 2i+1), turn by the given frequencies of the source. */
export function pickedPosition(source: PositionSpec, pairs: readonly number[]): PositionSpec {
  if (source.kind !== 'rope' || pairs.length === 0) return { kind: 'none' }
  const of = source.picked?.of ?? source.dims
  const own = pairs.map(i => source.picked?.pairs[i] ?? i)
  const { picked: _, ...rest } = source
  const plain: RopeSpec = { ...rest, dims: 2 * own.length, pairing: 'interleaved' }
  const chosen: RopeSpec = { ...plain, picked: { of, pairs: own } }
  return sameFrequencies(plain, chosen) ? plain : chosen
}

/** Whether two specs turn by the same angles, for short and for long sequences. */
function sameFrequencies(a: RopeSpec, b: RopeSpec): boolean {
  return [1, 4 * a.maxPositions].every(span => {
    const [x, y] = [ropeFrequencies(a, span), ropeFrequencies(b, span)]
    return x.factor === y.factor && x.values.every((v, i) => v === y.values[i])
  })
}

/** What both rotated queries and keys are multiplied by. */
export const rotationFactor = (position?: PositionSpec): number =>
  position?.kind === 'rope' ? ropeFrequencies(position, position.maxPositions).factor : 1
