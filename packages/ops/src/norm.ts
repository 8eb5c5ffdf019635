import { AttuneError } from '@attune/expr'
import { call1, mapWith, type Op, sameDim, showShape, sum, type Tensor, type Type } from '@attune/tensor'

/** x (…, D) f32, weight (D) → x / √(mean x² + eps) × weight. Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467 */
export const rmsNorm: Op<{ eps: number }> = {
  name: 'rmsNorm',
  infer: inputs => [{ dtype: 'f32', shape: checked('rmsNorm', inputs) }],
  compose([x, weight], { eps }) {
    const power = mean(mapWith(a => a.mul(a), [x]))
    return [mapWith((a, p, w) => a.mul(p.add(eps).rsqrt()).mul(w), [x, power, weight])]
  },
}
/** x (…, D) f32, weight (D), bias? (D) → (x − mean) / √(var + eps) × weight + bias. */
export const layerNorm: Op<{ eps: number }> = {
  name: 'layerNorm',
  infer: inputs => [{ dtype: 'f32', shape: checked('layerNorm', inputs) }],
  compose([x, weight, bias], { eps }) {
    const centred = mapWith((a, m) => a.sub(m), [x, mean(x)])
    const variance = mean(mapWith(a => a.mul(a), [centred]))
    const scaled = mapWith((a, v, w) => a.mul(v.add(eps).rsqrt()).mul(w), [centred, variance, weight])
    return [bias ? mapWith((a, b) => a.add(b), [scaled, bias]) : scaled]
  },
}
export const rmsNormOf = (x: Tensor, weight: Tensor, eps: number): Tensor => call1(rmsNorm, [x, weight], { eps })
export const layerNormOf = (x: Tensor, weight: Tensor, bias: Tensor | undefined, eps: number): Tensor =>
  call1(layerNorm, bias ? [x, weight, bias] : [x, weight], { eps })

const mean = (x: Tensor): Tensor => mapWith(s => s.div(x.shape.at(-1) as number), [sum(x, -1, true)]) // (…, 1)

function checked(name: string, [x, ...vectors]: readonly Type[]): Type['shape'] {
  const d = x.shape.at(-1)
  if (typeof d !== 'number' || vectors.some(v => v.shape.length !== 1 || !sameDim(v.shape[0], d)))
    throw new AttuneError('ERR_SHAPE', `${name} of x ${showShape(x.shape)} with ${vectors.map(v => showShape(v.shape)).join(' and ')}`, {
      x: showShape(x.shape),
    })
  return x.shape
}
