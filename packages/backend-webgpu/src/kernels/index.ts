import type { Kernel } from '@attune/tensor'
import { attendKernel } from './attend.ts'
import { conv1dKernel } from './conv1d.ts'
import { copyKernel } from './copy.ts'
import { gatherKernel } from './gather.ts'
import { linearKernel } from './linear.ts'
import { mapKernel } from './map.ts'
import { matmulKernel } from './matmul.ts'
import { matmulExpertsKernel } from './matmul-experts.ts'
import { randomKernel } from './random.ts'
import { reduceKernel } from './reduce.ts'
import { ropeKernel } from './rope.ts'
import { layerNormKernel, rmsNormKernel, softmaxKernel } from './rows.ts'
import { scanKernel } from './scan.ts'
import { scatterKernel } from './scatter.ts'
import { topkKernel } from './topk.ts'

/** Every kernel of this device, one line each. What is not here runs as its composition. */
export const kernels: readonly Kernel<any>[] = [
  attendKernel,
  conv1dKernel,
  copyKernel,
  gatherKernel,
  layerNormKernel,
  linearKernel,
  mapKernel,
  matmulExpertsKernel,
  matmulKernel,
  randomKernel,
  reduceKernel,
  rmsNormKernel,
  ropeKernel,
  scanKernel,
  scatterKernel,
  softmaxKernel,
  topkKernel,
]
