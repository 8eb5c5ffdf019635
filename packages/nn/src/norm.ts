import { layerNormOf, rmsNormOf } from '@attune/ops'
import { mapWith, type Tensor } from '@attune/tensor'
import { type ArraySpec, type VectorSpec, vector } from './params.ts'

/** A norm over the last axis, as data. */
export type NormSpec =
  /** Root mean square. Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467 */
  | {
      readonly kind: 'rms'
      readonly eps: number
      /** Added to the stored gain: 1 where files hold it around zero (Gemma, Qwen3-Next). */
      readonly offset?: number
    }
  /** Mean and variance. Ba et al. 2016, https://arxiv.org/abs/1607.06450 */
  | { readonly kind: 'layer'; readonly eps: number; readonly bias: boolean }

/** A gain (dim), or with a bias (dim) both. */
export type NormParams = VectorSpec | ArraySpec | { readonly gain: VectorSpec; readonly bias: VectorSpec }
export type BoundNorm = Tensor | { readonly gain: Tensor; readonly bias: Tensor }

export function normParams(spec: NormSpec, dim: number): NormParams {
  if (spec.kind === 'rms') return vector(dim, 1 - (spec.offset ?? 0))
  return spec.bias ? { gain: vector(dim), bias: vector(dim, 0) } : vector(dim)
}
/** x (…, dim) by the stored gain (dim) and bias (dim). */
export function norm(params: BoundNorm, x: Tensor, spec: NormSpec): Tensor {
  const { gain, bias } = 'gain' in params ? params : { gain: params, bias: undefined }
  if (spec.kind === 'layer') return layerNormOf(x, gain, bias, spec.eps)
  const { eps, offset = 0 } = spec
  return rmsNormOf(x, offset === 0 ? gain : mapWith(g => g.add(offset), [gain]), eps)
}
