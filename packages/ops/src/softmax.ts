import { call1, mapWith, max, type Op, sum, type Tensor } from '@attune/tensor'

/**
 * x (…, D) → exp(x − max) / Σ exp(x − max) along the last axis, f32. A row of nothing but −∞ gives zeros; the finite mask value
 * −3.4e38 counts as a number.
 */
export const softmax: Op<null> = {
  name: 'softmax',
  infer: ([x]) => [{ dtype: 'f32', shape: x.shape }],
  compose([x]) {
    const weights = mapWith((a, m) => a.sub(m.max(-3.4e38)).exp(), [x, max(x, -1, true)])
    return [mapWith((w, s) => w.div(s.max(1e-30)), [weights, sum(weights, -1, true)])]
  },
}
export const softmaxOf = (x: Tensor): Tensor => call1(softmax, [x], null)
