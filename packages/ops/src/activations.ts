import type { Expr } from '@attune/expr'
import { mapWith, type Tensor } from '@attune/tensor'

/** x · sigmoid(x). https://arxiv.org/abs/1702.03118 */
export const silu = (x: Expr): Expr => x.mul(x.sigmoid())
/** Exact GELU: x · Φ(x) by erf. https://arxiv.org/abs/1606.08415 */
export const gelu = (x: Expr): Expr => x.mul(0.5).mul(x.mul(Math.SQRT1_2).erf().add(1))
/** GELU's tanh approximation (`gelu_new`, `gelu_pytorch_tanh`). */
export const geluTanh = (x: Expr): Expr => {
  const inner = x.add(x.mul(x).mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI))
  return x.mul(0.5).mul(inner.tanh().add(1))
}
export const relu = (x: Expr): Expr => x.max(0)
/** cap · tanh(x / cap): keeps |x| below `cap`. */
export const softCap =
  (cap: number) =>
  (x: Expr): Expr =>
    x.div(cap).tanh().mul(cap)
/** silu(gate) · up. https://arxiv.org/abs/2002.05202 */
export const swiglu = (gate: Expr, up: Expr): Expr => silu(gate).mul(up)

export const siluOf = (x: Tensor): Tensor => mapWith(silu, [x])
export const geluOf = (x: Tensor): Tensor => mapWith(gelu, [x])
export const geluTanhOf = (x: Tensor): Tensor => mapWith(geluTanh, [x])
export const reluOf = (x: Tensor): Tensor => mapWith(relu, [x])
export const softCapOf = (x: Tensor, cap: number): Tensor => mapWith(softCap(cap), [x])
export const swigluOf = (gate: Tensor, up: Tensor): Tensor => mapWith(swiglu, [gate, up])
