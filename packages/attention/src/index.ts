export { type AttendPastOptions, attend } from './attend.ts'
export { type Bridge, type BridgeInput, bridge, type Calibration, type Exactness } from './bridge.ts'
export { defineAttention, type ForwardContext, isVariant, type Variant, type VariantParts } from './define.ts'
export { causal, chunked, full, type MaskSpec, maskOf, window } from './masks.ts'
export {
  numbersPerToken,
  type Past,
  type RowsKind,
  rows,
  type StateKind,
  type StateSpec,
  type StateView,
  type StepTokens,
} from './state.ts'
