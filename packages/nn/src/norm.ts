import { rmsNormOf } from '@attune/ops'
import { mapWith, type Tensor } from '@attune/tensor'
import { type VectorSpec, vector } from './params.ts'

/** A norm over the last axis, as data. */
export interface NormSpec {
  /** Root mean square. Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467 */
  readonly kind: 'rms'
  readonly eps: number
  /** Added to the stored gain: 1 where files hold it around zero (Gemma, Qwen3-Next). */
  readonly offset?: number
}

export const normParams = ({ offset = 0 }: NormSpec, dim: number): VectorSpec => vector(dim, 1 - offset)
/** x (…, dim) by the stored gain (dim). */
export const norm = (gain: Tensor, x: Tensor, { eps, offset = 0 }: NormSpec): Tensor =>
  rmsNormOf(x, offset === 0 ? gain : mapWith(g => g.add(offset), [gain]), eps)
