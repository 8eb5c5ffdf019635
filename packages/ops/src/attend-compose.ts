import type { Tensor } from '@attune/tensor'
import type { AttendAttrs } from './attend.ts'

export declare function composeAttend(inputs: readonly Tensor[], attrs: AttendAttrs): Tensor[]
