import { mapWith, type Tensor } from '@attune/tensor'

/** Attention over a part of the keys: out (N, H, dV) and the log-sum-exp of its scores (N, H). */
export interface PartialAttention {
  readonly out: Tensor
  readonly lse: Tensor
}

/** Softmax attention over the union of disjoint key sets, from attention over each. */
export function mergeParts([first, ...rest]: readonly PartialAttention[]): PartialAttention {
  return rest.reduce((a, b) => {
    const lse = mapWith((x, y) => x.max(y).add(x.min(y).sub(x.max(y)).exp().add(1).log()), [a.lse, b.lse])
    const share = (part: Tensor) => mapWith((x, total) => x.sub(total).exp(), [part, lse]).unsqueeze(2)
    return { out: mapWith((x, w, y, v) => x.mul(w).add(y.mul(v)), [a.out, share(a.lse), b.out, share(b.lse)]), lse }
  }, first)
}
