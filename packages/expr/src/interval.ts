import { erf } from './erf.ts'
import { MAX_INTEGER } from './expr.ts'
import type { OpName } from './ops.ts'

/**
 * What is known of a value: it lies in [lo, hi], or is NaN if `nan`; `int` if it is always an integer. Bounds hold for float64 and for
 * f32 kernels alike, so every rounding is widened outward; a bool is [0, 0], [0, 1] or [1, 1].
 */
export interface Interval {
  readonly lo: number
  readonly hi: number
  readonly nan: boolean
  readonly int: boolean
}

export const interval = (lo: number, hi: number, int = false, nan = false): Interval => ({
  lo: Number.isNaN(lo) ? -Infinity : lo,
  hi: Number.isNaN(hi) ? Infinity : hi,
  nan,
  int,
})
export const anything = (int = false): Interval => interval(-Infinity, Infinity, int, !int)
export const truth = (always: boolean, ever: boolean): Interval => interval(always ? 1 : 0, ever ? 1 : 0, true)

export const meet = (a: Interval, b: Interval): Interval => ({ ...a, lo: Math.max(a.lo, b.lo), hi: Math.min(a.hi, b.hi) })
export const hull = (a: Interval, b: Interval): Interval =>
  interval(Math.min(a.lo, b.lo), Math.max(a.hi, b.hi), a.int && b.int, a.nan || b.nan)
export const magnitude = (a: Interval): number => Math.max(Math.abs(a.lo), Math.abs(a.hi))

/** f32 rounds to 2^-24 of the value; f32 numbers below the least normal one may be flushed to zero. */
export const ROUNDING = 2 ** -23
const LEAST = 2 ** -125
const LARGEST = 3.4028234663852886e38

/** Whether an f32 op with this exact result gives it unrounded. */
export const isExact = (a: Interval): boolean => a.int && magnitude(a) <= MAX_INTEGER

/** Widened by the rounding of one f32 op. Rounding is monotone, so an exact end stays. */
export function rounded(a: Interval, relative = ROUNDING): Interval {
  const keeps = (x: number): boolean => a.int && Math.abs(x) <= MAX_INTEGER
  const lo = keeps(a.lo) ? a.lo : a.lo - Math.abs(a.lo) * relative - LEAST
  const hi = keeps(a.hi) ? a.hi : a.hi + Math.abs(a.hi) * relative + LEAST
  return interval(lo < -LARGEST ? -Infinity : Math.min(lo, LARGEST), hi > LARGEST ? Infinity : Math.max(hi, -LARGEST), a.int, a.nan)
}

const infinite = (a: Interval): boolean => a.hi === Infinity || a.lo === -Infinity
const holdsZero = (a: Interval): boolean => a.lo <= 0 && a.hi >= 0
const corners = (values: number[], int: boolean, nan: boolean): Interval => {
  if (values.some(Number.isNaN)) return interval(-Infinity, Infinity, int, true)
  return interval(Math.min(...values), Math.max(...values), int, nan)
}

export const add = (a: Interval, b: Interval): Interval => {
  const cancels = (a.hi === Infinity && b.lo === -Infinity) || (a.lo === -Infinity && b.hi === Infinity)
  return interval(a.lo + b.lo, a.hi + b.hi, a.int && b.int, a.nan || b.nan || (cancels && !(a.int && b.int)))
}

export const negate = (a: Interval): Interval => ({ ...a, lo: -a.hi, hi: -a.lo })

export function multiply(a: Interval, b: Interval): Interval {
  const int = a.int && b.int
  const product = (x: number, y: number): number => (x === 0 || y === 0 ? 0 : x * y)
  const meetsInfinity = (holdsZero(a) && infinite(b)) || (holdsZero(b) && infinite(a))
  const values = [product(a.lo, b.lo), product(a.lo, b.hi), product(a.hi, b.lo), product(a.hi, b.hi)]
  return corners(values, int, a.nan || b.nan || (meetsInfinity && !int))
}

/** Everything when the divisor may be zero. */
export function divide(a: Interval, b: Interval): Interval {
  if (holdsZero(b)) return anything()
  return corners([a.lo / b.lo, a.lo / b.hi, a.hi / b.lo, a.hi / b.hi], false, a.nan || b.nan)
}

export function absolute(a: Interval): Interval {
  return { ...a, lo: holdsZero(a) ? 0 : Math.min(Math.abs(a.lo), Math.abs(a.hi)), hi: magnitude(a) }
}

/** Everything unless both operands are proved to be in range. */
export function quotient(a: Interval, b: Interval): Interval {
  if (!(a.lo >= 0 && b.lo >= 1)) return anything(true)
  return interval(b.hi === Infinity ? 0 : Math.floor(a.lo / b.hi), Math.floor(a.hi / b.lo), true)
}

export function remainder(a: Interval, b: Interval): Interval {
  if (!(a.lo >= 0 && b.lo >= 1)) return anything(true)
  return interval(0, Math.min(a.hi, b.hi - 1), true)
}

/** Kernels approximate these: to 2^-18 of the value, or to 1e-6 where the values are bounded. */
const APPROXIMATE = 2 ** -18
const monotone =
  (f: (x: number) => number, slack: number, nan: (a: Interval) => boolean = () => false) =>
  (a: Interval): Interval => {
    const r = rounded(interval(f(a.lo), f(a.hi), false, a.nan || nan(a)), APPROXIMATE)
    return { ...r, lo: r.lo - slack, hi: r.hi + slack }
  }
const wave = (a: Interval): Interval => interval(-1 - 1e-6, 1 + 1e-6, false, a.nan || infinite(a))
const negative = (a: Interval): boolean => a.lo < 0
const SMALL = 1e-34 // kernels flush exp below this and clamp it above 1e38

/** Bounds of the functions of one operand. */
export const FUNCTIONS: Partial<Record<OpName, (a: Interval) => Interval>> = {
  floor: a => ({ ...a, lo: Math.floor(a.lo), hi: Math.floor(a.hi), int: true }),
  i32: a => ({ ...a, lo: Math.trunc(a.lo), hi: Math.trunc(a.hi), int: true }),
  exp: a => {
    const r = monotone(Math.exp, SMALL)(a)
    return { ...r, lo: Math.min(Math.max(r.lo, 0), 1e38) }
  },
  tanh: monotone(Math.tanh, 1e-6),
  sigmoid: monotone(x => 1 / (1 + Math.exp(-x)), 1e-6),
  erf: monotone(erf, 1e-6),
  log: monotone(x => Math.log(Math.max(x, 0)), 1e-6, negative),
  sqrt: monotone(x => Math.sqrt(Math.max(x, 0)), LEAST, negative),
  rsqrt: a => {
    const r = rounded(
      interval(1 / Math.sqrt(Math.max(a.hi, 0)), 1 / Math.sqrt(Math.max(a.lo, 0)), false, a.nan || negative(a)),
      APPROXIMATE,
    )
    return { ...r, lo: Math.max(r.lo, 0) }
  },
  sin: wave,
  cos: wave,
}

/** Extremes of a power of non-negatives lie in the corners. */
export function power(a: Interval, b: Interval): Interval {
  if (a.lo < 0 || infinite(a) || infinite(b)) return anything()
  const r = rounded(corners([a.lo ** b.lo, a.lo ** b.hi, a.hi ** b.lo, a.hi ** b.hi], false, a.nan || b.nan), 2 ** -14)
  return { ...r, lo: Math.max(0, r.lo - SMALL), hi: r.hi + SMALL }
}
