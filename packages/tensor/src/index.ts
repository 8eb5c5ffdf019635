export { AttuneError, type ErrorCode } from '@attune/expr'
export { q4_0, q4_1, q8_0 } from './codecs.ts'
export * from './dtype.ts'
export { bf16ToFloat, floatToBf16, floatToHalf, halfToFloat } from './half.ts'
