import type { Kernel } from '@attune/tensor'
import { attendFused } from './attend.ts'
import { conv1dKernel } from './conv1d.ts'
import { copyContiguous, copyStrided } from './copy.ts'
import { expertsKernel } from './experts.ts'
import { gatherKernel, scatterKernel } from './gather.ts'
import { linearDense } from './linear.ts'
import { linearPacked } from './linear-packed.ts'
import { mapKernel } from './map.ts'
import { matmulDense } from './matmul.ts'
import { layerNormKernel, rmsNormKernel, softmaxKernel } from './norm.ts'
import { randomKernel } from './random.ts'
import { reduceKernel } from './reduce.ts'
import { ropeKernel } from './rope.ts'
import { sampleKernel } from './sample.ts'
import { scanKernel } from './scan.ts'
import { topkKernel } from './topk.ts'

/** Every kernel of this device. One line per kernel; the compiled side is native/kernels.cpp. */
export const kernels: readonly Kernel<any>[] = [
  attendFused,
  conv1dKernel,
  copyContiguous,
  copyStrided,
  expertsKernel,
  gatherKernel,
  scatterKernel,
  linearDense,
  linearPacked,
  mapKernel,
  matmulDense,
  layerNormKernel,
  rmsNormKernel,
  softmaxKernel,
  randomKernel,
  reduceKernel,
  ropeKernel,
  sampleKernel,
  scanKernel,
  topkKernel,
]
