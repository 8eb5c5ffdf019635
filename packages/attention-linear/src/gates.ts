import type { Expr } from '@attune/expr'
import { rmsNormOf } from '@attune/ops'
import { dense, fill, mapWith, type Tensor } from '@attune/tensor'

/** log(1 + eˣ), accurate where it is close to 0: log1p(u) = 2 atanh(u / (2 + u)) as a series, u = e^−|x|. */
export function softplus(x: Expr): Expr {
  const u = x.abs().neg().exp()
  const z = u.div(u.add(2)) // at most 1/3
  const square = z.mul(z)
  const series = [9, 7, 5, 3, 1].reduce((sum, n) => sum.mul(square).add(1 / n), square.mul(0).add(1 / 11))
  return x.max(0).add(z.mul(2).mul(series))
}
/** log σ(x) */
export const logSigmoid = (x: Expr): Expr => softplus(x.neg()).neg()

/** Vectors along the last axis at length 1: x / √(Σ x² + eps). */
export function unit(x: Tensor, eps = 1e-6): Tensor {
  const width = x.shape.at(-1) as number
  return rmsNormOf(x, fill(width ** -0.5, [width]), eps / width)
}

/** RMS norm of each head's output, then times silu(gate): out and gate (N, H, d), gain (d). */
export const normThenGate = (out: Tensor, gate: Tensor, gain: Tensor, eps: number): Tensor =>
  mapWith((y, z) => y.mul(z).mul(z.sigmoid()), [rmsNormOf(out, gain, eps), gate])

/** out · silu(gate), then an RMS norm over `groups` equal parts of all channels: out and gate (N, H, d), gain (H · d). */
export function gateThenNorm(out: Tensor, gate: Tensor, gain: Tensor, eps: number, groups: number): Tensor {
  const [n] = out.shape
  const channels = gain.shape[0] as number
  const gated = dense(mapWith((y, z) => y.mul(z).mul(z.sigmoid()), [out, gate])).reshape([n, groups, channels / groups])
  const normed = rmsNormOf(gated, fill(1, [channels / groups]), eps)
  return mapWith((y, w) => y.mul(w), [normed, gain.reshape([groups, channels / groups])]).reshape(out.shape)
}
