import { type Expr, h, k, q, s, table } from '@attune/expr'
import { tensor } from '@attune/tensor'

/** Scores fall with distance, by a fixed slope per head. Press et al. 2021, https://arxiv.org/abs/2108.12409 */
export interface AlibiSpec {
  readonly kind: 'alibi'
  /** Slope of each query head. */
  readonly slopes: readonly number[]
  /** The bias is this factor times slope × position of the key, slope, position and product rounded to bfloat16 each (Falcon). */
  readonly rounded?: number
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

/** The slopes of MPT: those of the power of two at or above `heads`, every second one first. They fall to 2^−max. */
export function mptSlopes(heads: number, max = 8): number[] {
  const whole = 2 ** Math.ceil(Math.log2(heads))
  const all = Array.from({ length: whole }, (_, i) => Math.fround(1 / Math.fround(2 ** Math.fround((i + 1) * Math.fround(max / whole)))))
  if (whole === heads) return all
  return [...all.filter((_, i) => i % 2 === 1), ...all.filter((_, i) => i % 2 === 0)].slice(0, heads)
}

/** The score with slope × (key − query) added. */
export function alibiScore({ slopes, rounded }: AlibiSpec): Expr {
  if (rounded !== undefined) return s.add(roundedBias(slopes).mul(rounded))
  const slope = table(tensor(slopes, [slopes.length]), { dtype: 'f32', rank: 1 }).at(h)
  return s.add(slope.mul(k.position.sub(q.position)))
}

/** bfloat16 keeps 8 bits: a position is 0 … 256 units of a power of two, and so is its product with a slope but for the unit. */
const BITS = 8
const UNITS = Int32Array.from({ length: 17 }, (_, i) => 2 ** i)

function roundedBias(slopes: readonly number[]): Expr {
  const width = 2 ** BITS + 1
  const products = Float32Array.from({ length: slopes.length * width }, (_, i) => bf16(bf16(slopes[Math.floor(i / width)]) * (i % width)))
  const at = k.position
  // Where the logarithm errs the position is so near a power of two that both units give it.
  const bits = at.max(1).f32().log().mul(1 / Math.LN2).floor().i32() // biome-ignore format: one line
  const unit = table(tensor(UNITS, [UNITS.length], 'i32'), { dtype: 'i32', rank: 1 })
    .at(bits.sub(BITS - 1).max(0).min(UNITS.length - 1)) // biome-ignore format: one line
    .max(1)
  const whole = at.idiv(unit)
  const rest = at.mod(unit).mul(2)
  const up = rest.gt(unit).or(rest.eq(unit).and(whole.mod(2).eq(1))) // to even
  const units = whole.add(up.i32())
  return table(tensor(products, [slopes.length, width]), { dtype: 'f32', rank: 2 })
    .at(h, units)
    .mul(unit.f32())
}

/** The nearest number with 8 significant bits, ties to even. */
function bf16(x: number): number {
  if (x === 0) return 0
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(Math.fround(x)))) - BITS + 1)
  const units = Math.fround(x) / unit
  const below = Math.floor(units)
  const rest = units - below
  return (below + (rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? 1 : 0)) * unit
}
