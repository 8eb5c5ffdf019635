import { type Affine, type Atom, bound, combine, type Difference, ofAtom, ofConstant, scale } from './affine.ts'
import { js } from './dialects.ts'
import { AttuneError } from './error.ts'
import { type Expr, MAX_INTEGER } from './expr.ts'
import { nodes } from './graph.ts'
import type { Interval } from './interval.ts'
import * as I from './interval.ts'
import { print } from './print.ts'
import { assertMask } from './scores.ts'
import type { Table } from './table.ts'

/** What is known where an expression will be evaluated, for example over one tile of queries and keys. */
export interface Bounds {
  /** [min, max] by variable name. Others: `DEFAULT_RANGES`, else anything (also NaN, if f32). */
  readonly variables?: Readonly<Record<string, readonly [number, number]>>
  /** [min, max] of a table's elements within the index bounds; `undefined` when unknown. Indices outside the table are clamped. */
  readonly tables?: (table: Table, index: readonly Interval[]) => readonly [number, number] | undefined
  /** [min, max] of differences of two variables */
  readonly differences?: readonly Difference[]
}

const NATURAL = [0, MAX_INTEGER] as const
/** Heads, batch rows, rows and positions are never negative. */
export const DEFAULT_RANGES: Readonly<Record<string, readonly [number, number]>> = {
  b: NATURAL,
  h: NATURAL,
  kv: NATURAL,
  'q.row': NATURAL,
  'k.row': NATURAL,
  'q.position': NATURAL,
  'k.position': NATURAL,
}

/** Sound bounds of an expression, in float64 and in f32: affine forms where correlation matters, intervals elsewhere. */
export function range(root: Expr, bounds: Bounds = {}): Interval {
  return analyse(root, bounds)(root)
}

/** Whether a mask lets through all, none or some of the points within bounds; 'some' whenever neither is proved. Throws ERR_EXPR if the mask mentions the score. */
export function classify(mask: Expr, bounds: Bounds): 'all' | 'none' | 'some' {
  const { lo, hi } = range(assertMask(mask), bounds)
  return lo === 1 ? 'all' : hi === 0 ? 'none' : 'some'
}

/** Throws ERR_EXPR unless bounds prove every `idiv` and `mod` to be of a non-negative by a positive integer. Call it once when binding. */
export function assertNonNegative(root: Expr, bounds: Bounds = {}): void {
  const rangeOf = analyse(root, bounds)
  for (const e of nodes(root).list) {
    if (e.op !== 'idiv' && e.op !== 'mod') continue
    const [a, b] = e.args.map(rangeOf)
    if (a.lo >= 0 && b.lo >= 1) continue
    const text = print(e, js)
    throw new AttuneError(
      'ERR_EXPR',
      `${e.op} needs a non-negative by a positive integer; ${text} is [${a.lo}, ${a.hi}] by [${b.lo}, ${b.hi}]`,
      { text, a, b },
    )
  }
}

/** A value as an interval and, for numbers, as an affine form; each is sound alone. */
interface Known extends Interval {
  readonly form: Affine
}

/** The one number a value is, but for the rounding of a constant to f32. */
function onlyNumber({ lo, hi, nan, form }: Known): number | undefined {
  if (nan) return undefined
  if (lo === hi) return lo
  return form.terms.size === 0 && form.error <= Math.abs(form.constant) * I.ROUNDING ? form.constant : undefined
}

/** One positive integer. */
const isDivisor = (b: Interval): boolean => b.lo === b.hi && b.lo >= 1 && Number.isFinite(b.lo)

function analyse(root: Expr, { variables = {}, tables = () => undefined, differences = [] }: Bounds): (e: Expr) => Interval {
  const { id } = nodes(root)
  const done = new Map<number, Known>()
  const visit = (e: Expr): Known => {
    const n = id(e)
    let known = done.get(n)
    if (!known) {
      known = bounded(e, e.args.map(visit))
      done.set(n, known)
    }
    return known
  }

  const opaque = (a: Interval, more: Omit<Atom, 'interval'> = {}): Known => ({ ...a, form: ofAtom({ interval: a, ...more }) })
  const gap = (a: Known, b: Known): Interval => I.meet(I.add(a, I.negate(b)), bound(combine(a.form, b.form, -1), differences))
  /** The exact result of an op, rounded if its type rounds. */
  const settle = (e: Expr, exact: Interval, form: Affine): Known => {
    const tight = I.meet(exact, bound(form, differences))
    if (e.type === 'i32' || I.isExact(tight)) return { ...tight, form }
    const result = I.rounded(tight)
    const error = form.error + I.magnitude(result) * I.ROUNDING
    return Number.isFinite(error) ? { ...result, form: { ...form, error } } : opaque(result)
  }
  const scaled = (e: Expr, exact: Interval, a: Known, factor: number): Known => {
    const form = scale(a.form, factor)
    // a fraction is itself rounded to f32
    return settle(
      e,
      Number.isInteger(factor) ? exact : I.rounded(exact),
      Number.isInteger(factor) ? form : { ...form, error: form.error + 2 * I.magnitude(exact) * I.ROUNDING },
    )
  }
  const compare = (d: Interval, nan: boolean, op: Expr['op']): Interval => {
    switch (op) {
      case 'lt':
        return I.truth(d.hi < 0 && !nan, d.lo < 0)
      case 'le':
        return I.truth(d.hi <= 0 && !nan, d.lo <= 0)
      case 'eq':
        return I.truth(d.lo === 0 && d.hi === 0 && !nan, d.lo <= 0 && d.hi >= 0)
      default:
        return I.truth(d.lo > 0 || d.hi < 0, !(d.lo === 0 && d.hi === 0) || nan)
    }
  }

  const bounded = (e: Expr, args: Known[]): Known => {
    const [a, b, c] = args
    switch (e.op) {
      case 'const': {
        const exact = I.interval(e.value!, e.value!, Number.isInteger(e.value))
        const form = ofConstant(e.value!)
        if (I.isExact(exact) || e.type === 'i32') return { ...exact, form }
        return { ...I.rounded(exact), form: { ...form, error: Math.abs(e.value!) * I.ROUNDING } }
      }
      case 'var': {
        const given = variables[e.name!] ?? DEFAULT_RANGES[e.name!]
        const wide = e.type === 'bool' ? I.truth(false, true) : I.anything(e.type === 'i32')
        return opaque(given ? I.interval(given[0], given[1], e.type !== 'f32') : wide, { name: e.name })
      }
      case 'at': {
        const given = tables(e.table!, args)
        return opaque(given ? I.interval(given[0], given[1], e.type === 'i32') : I.anything(e.type === 'i32'))
      }
      case 'add':
        return settle(e, I.add(a, b), combine(a.form, b.form, 1))
      case 'sub':
        return settle(e, I.add(a, I.negate(b)), combine(a.form, b.form, -1))
      case 'neg':
        return { ...I.negate(a), form: scale(a.form, -1) }
      case 'mul': {
        const exact = I.multiply(a, b)
        const [left, right] = [onlyNumber(a), onlyNumber(b)]
        if (right !== undefined) return scaled(e, exact, a, right)
        if (left !== undefined) return scaled(e, exact, b, left)
        const d = gap(a, b)
        const square = d.lo === 0 && d.hi === 0 ? { ...exact, lo: I.absolute(a).lo ** 2 } : exact
        return settle(e, square, ofAtom({ interval: square }))
      }
      case 'div': {
        const exact = I.divide(a, b)
        const divisor = onlyNumber(b)
        return divisor ? scaled(e, exact, a, 1 / divisor) : opaque(I.rounded(exact))
      }
      case 'idiv': {
        const exact = I.quotient(a, b)
        return opaque(exact, isDivisor(b) && a.lo >= 0 ? { floor: { of: a.form, by: b.lo } } : {})
      }
      case 'mod': {
        const inOneBlock = isDivisor(b) && a.lo >= 0 && Math.floor(a.lo / b.lo) === Math.floor(a.hi / b.lo)
        return inOneBlock
          ? settle(e, I.anything(true), combine(a.form, ofConstant(Math.floor(a.lo / b.lo) * b.lo), -1))
          : opaque(I.remainder(a, b))
      }
      case 'min':
      case 'max': {
        const d = e.op === 'min' ? gap(a, b) : gap(b, a)
        const nan = a.nan || b.nan
        if (d.hi <= 0 && !nan) return a
        if (d.lo >= 0 && !nan) return b
        const pick = e.op === 'min' ? Math.min : Math.max
        // with a NaN, kernels may return the other operand
        return opaque(nan ? I.hull(a, b) : I.interval(pick(a.lo, b.lo), pick(a.hi, b.hi), a.int && b.int))
      }
      case 'abs':
        if (a.lo >= 0) return a
        return a.hi <= 0 ? { ...I.negate(a), form: scale(a.form, -1) } : opaque(I.absolute(a))
      case 'pow':
        return opaque(I.power(a, b))
      case 'gt':
      case 'ge':
        return opaque(compare(gap(b, a), a.nan || b.nan, e.op === 'gt' ? 'lt' : 'le'))
      case 'lt':
      case 'le':
      case 'eq':
      case 'ne':
        return opaque(compare(gap(a, b), a.nan || b.nan, e.op))
      case 'and':
        return opaque(I.truth(a.lo === 1 && b.lo === 1, a.hi === 1 && b.hi === 1))
      case 'or':
        return opaque(I.truth(a.lo === 1 || b.lo === 1, a.hi === 1 || b.hi === 1))
      case 'not':
        return opaque(I.truth(a.hi === 0, a.lo === 0))
      case 'select':
        return a.lo === 1 ? b : a.hi === 0 ? c : opaque(I.hull(b, c))
      case 'f32':
        return a
      case 'floor':
      case 'i32':
        return a.int ? a : opaque(I.FUNCTIONS[e.op]!(a))
      default:
        return opaque(I.FUNCTIONS[e.op]!(a))
    }
  }
  return visit
}
