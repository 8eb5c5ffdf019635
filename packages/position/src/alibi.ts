import { type Expr, h, k, q, s, table } from '@attune/expr'
import { tensor } from '@attune/tensor'

/** Scores fall with distance, by a fixed slope per head. Press et al. 2021, https://arxiv.org/abs/2108.12409 */
export interface AlibiSpec {
  readonly kind: 'alibi'
  /** Slope of each query head. */
  readonly slopes: readonly number[]
}

/** The paper's slopes: 2^(−8/n), 2^(−16/n) … for the power of two n at or below `heads`, then every second one of 2n. float32 as transformers computes them. */
export function alibiSlopes(heads: number): number[] {
  const whole = 2 ** Math.floor(Math.log2(heads))
  const slopes = (of: number, count: number, step: number): number[] => {
    const base = Math.fround(2 ** -(2 ** -(Math.log2(of) - 3)))
    return Array.from({ length: count }, (_, i) => Math.fround(base ** (1 + i * step)))
  }
  return [...slopes(whole, whole, 1), ...slopes(2 * whole, heads - whole, 2)]
}

/** The score with slope × (key − query) added. */
export function alibiScore({ slopes }: AlibiSpec): Expr {
  const slope = table(tensor(slopes, [slopes.length]), { dtype: 'f32', rank: 1 }).at(h)
  return s.add(slope.mul(k.position.sub(q.position)))
}
