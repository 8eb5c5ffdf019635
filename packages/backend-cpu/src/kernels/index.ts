import type { Kernel } from '@attune/tensor'
import { attendFused } from './attend.ts'
import { copyContiguous } from './copy.ts'
import { linearDense } from './linear.ts'
import { matmulDense } from './matmul.ts'

/** Every kernel of this device. One line per kernel file; the compiled side is native/kernels.cpp. */
export const kernels: readonly Kernel[] = [attendFused, copyContiguous, linearDense, matmulDense]
