import { constant, variable } from '@attune/expr'
import type { Dim } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { mapExpr } from './map.ts'

/** A tensor filled with one number. */
export const fill = (value: number, shape: readonly Dim[], dtype: 'f32' | 'i32' | 'bool' = 'f32'): Tensor =>
  mapExpr(constant(value, dtype), [], { dtype, shape })
/** 0, 1, 2 … along the only axis. */
export const iota = (n: Dim): Tensor => mapExpr(variable('i0', 'i32'), [], { dtype: 'i32', shape: [n] })
