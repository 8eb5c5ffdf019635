import type { Expr } from '@attune/expr'
import { concatOf, softmaxOf } from '@attune/ops'
import { AttuneError, mapWith, matmulOf, type Tensor } from '@attune/tensor'

/** Maps of single numbers that make queries and keys non-negative, by name. */
export const features: Readonly<Record<string, (x: Expr) => Expr>> = {
  /** elu(x) + 1. Katharopoulos et al. 2020, https://arxiv.org/abs/2006.16236 */
  elu: x => x.gt(0).select(x.add(1), x.min(0).exp()),
  relu: x => x.max(0),
  exp: x => x.exp(),
  identity: x => x,
}
export function feature(name: string): (x: Expr) => Expr {
  const f = features[name]
  if (!f)
    throw new AttuneError('ERR_ARGUMENT', `feature map '${name}' is not one of ${Object.keys(features).join(', ')}`, { feature: name })
  return f
}

/** Hedgehog's map: softmax of Wx and of −Wx, a matrix (d, f) per head. x (N, H, d), weight (H, d, f) → (N, H, 2f). https://arxiv.org/abs/2402.04347 */
export function hedgehog(x: Tensor, weight: Tensor): Tensor {
  const y = matmulOf(x.permute(1, 0, 2), weight).permute(1, 0, 2) // (N, H, f)
  const side = (sign: number): Tensor => mapWith(p => p.max(1e-12), [softmaxOf(mapWith(a => a.mul(sign), [y]))])
  return concatOf(side(1), side(-1))
}
