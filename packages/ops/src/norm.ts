import { call1, type Op, type Tensor } from '@attune/tensor'

/** x (…, D) f32, weight (D) → x / √(mean x² + eps) × weight. Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467 */
export const rmsNorm: Op<{ eps: number }> = {
  name: 'rmsNorm',
  infer: ([x]) => [{ dtype: 'f32', shape: x.shape }],
}
/** x (…, D) f32, weight (D), bias? (D) → (x − mean) / √(var + eps) × weight + bias. */
export const layerNorm: Op<{ eps: number }> = {
  name: 'layerNorm',
  infer: ([x]) => [{ dtype: 'f32', shape: x.shape }],
}
export const rmsNormOf = (x: Tensor, weight: Tensor, eps: number): Tensor => call1(rmsNorm, [x, weight], { eps })
export const layerNormOf = (x: Tensor, weight: Tensor, bias: Tensor | undefined, eps: number): Tensor =>
  call1(layerNorm, bias ? [x, weight, bias] : [x, weight], { eps })
