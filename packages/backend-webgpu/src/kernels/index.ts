import type { Kernel } from '@attune/tensor'
import { copyKernel } from './copy.ts'
import { gatherKernel } from './gather.ts'
import { mapKernel } from './map.ts'
import { matmulKernel } from './matmul.ts'
import { randomKernel } from './random.ts'
import { reduceKernel } from './reduce.ts'
import { scatterKernel } from './scatter.ts'
import { topkKernel } from './topk.ts'

/** Every kernel of this device, one line each. What is not here runs as its composition. */
export const kernels: readonly Kernel<any>[] = [
  copyKernel,
  gatherKernel,
  mapKernel,
  matmulKernel,
  randomKernel,
  reduceKernel,
  scatterKernel,
  topkKernel,
]
