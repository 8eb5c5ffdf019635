import type { Bridge } from '@attune/attention'
import { mha2Mla } from './bridge-mha2mla.ts'
import { multiplyOut } from './bridge-multiply-out.ts'
import { transMla } from './bridge-transmla.ts'

/** Conversions between heads and latents. The first of a class is taken where no method is named. */
export const mlaBridges: readonly Bridge[] = [...transMla, ...mha2Mla, multiplyOut]
