import { table, variable } from '@attune/expr'
import type { Probe } from '@attune/models'
import { mapExpr, mapWith, max, sum, type Tensor } from '@attune/tensor'

/** log Σ exp over the last axis: (N, V) → (N, 1) */
export function logSumExp(x: Tensor): Tensor {
  const top = max(x, -1, true)
  const total = sum(
    mapWith((a, m) => a.sub(m).exp(), [x, top]),
    -1,
    true,
  )
  return mapWith((t, m) => t.log().add(m), [total, top])
}

/** Loss of given next tokens: input `targets` (N) i32, −1 where there is none; output `nll` (N), 0 there. */
export const tokenLoss: Probe = {
  key: 'loss',
  build(d, io) {
    const logits = d.logits() // (N, V)
    const targets = io.input('targets', 'i32', [io.tokens.count])
    const target = variable('x1', 'i32')
    const own = table(logits, { dtype: 'f32', rank: 2 }).at(variable('i0', 'i32'), target.max(0))
    const nll = mapExpr(target.lt(0).select(0, variable('x0', 'f32').sub(own)), [logSumExp(logits).squeeze(1), targets], { dtype: 'f32' })
    return { outputs: { nll } }
  },
}
