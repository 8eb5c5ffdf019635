export { type PositionAbout, positions } from './list.ts'
export { bindPosition, type Position, type PositionSpec, type RopeOperands, readsKeyPositions } from './position.ts'
export { type Frequencies, frequenciesVary, type RopeSpec, ropeFrequencies } from './rope.ts'
export { inverseFrequencies, type ScalingRule, scalings } from './scaling.ts'
