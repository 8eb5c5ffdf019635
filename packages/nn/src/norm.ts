import { layerNormOf, rmsNormOf } from '@attune/ops'
import { fill, mapWith, type Tensor } from '@attune/tensor'
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
  | {
      readonly kind: 'layer'
      readonly eps: number
      readonly bias: boolean
      /** False where nothing is learned (OLMo). */
      readonly gain?: boolean
    }

/** A gain (dim), or with a bias (dim) both; nothing where neither is learned. */
export type NormParams = VectorSpec | ArraySpec | { readonly gain: VectorSpec; readonly bias: VectorSpec } | Readonly<Record<string, never>>
export type BoundNorm = Tensor | { readonly gain: Tensor; readonly bias: Tensor } | Readonly<Record<string, never>>

export function normParams(spec: NormSpec, dim: number): NormParams {
  if (spec.kind === 'rms') return vector(dim, 1 - (spec.offset ?? 0))
  if (spec.gain === false) return {}
  return spec.bias ? { gain: vector(dim), bias: vector(dim, 0) } : vector(dim)
}
/** x (…, dim) by the stored gain (dim) and bias (dim). */
export function norm(params: BoundNorm, x: Tensor, spec: NormSpec): Tensor {
  if (spec.kind === 'layer' && spec.gain === false) return layerNormOf(x, fill(1, [x.shape[x.rank - 1]]), undefined, spec.eps)
  const { gain, bias } = 'gain' in params ? params : { gain: params as Tensor, bias: undefined }
  if (spec.kind === 'layer') return layerNormOf(x, gain, bias, spec.eps)
  const { eps, offset = 0 } = spec
  return rmsNormOf(x, offset === 0 ? gain : mapWith(g => g.add(offset), [gain]), eps)
}
