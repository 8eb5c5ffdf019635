import { AttuneError } from './error.ts'
import { type Expr, fixed } from './expr.ts'
import { same } from './graph.ts'
import type { OpName } from './ops.ts'
import { simplify } from './simplify.ts'

/**
 * The derivative of an f32 expression with respect to an f32 variable, or to one table read (as listed by `tableReads`; other reads
 * of the same table are held). Integers, indices and conditions have none. At a kink: `abs` has 0, `min`, `max` that of the second
 * operand, so `x.max(0)` has 0 at 0. Throws ERR_EXPR for other types.
 */
export function derivative(root: Expr, wrt: Expr): Expr {
  if (root.type !== 'f32' || wrt.type !== 'f32' || (wrt.op !== 'var' && wrt.op !== 'at')) {
    const message = `derivative is of an f32 with respect to an f32 variable or table read, got ${root.type} by ${wrt.op}: ${wrt.type}`
    throw new AttuneError('ERR_EXPR', message, { of: root.type, op: wrt.op, type: wrt.type })
  }
  const done = new Map<Expr, Slope>()
  const visit = (e: Expr): Slope => {
    if (e.type !== 'f32') return undefined
    if (same(e, wrt)) return fixed(1, 'f32')
    if (done.has(e)) return done.get(e)
    const rule = RULES[e.op]
    const slopes = rule ? e.args.map(visit) : []
    const result = slopes.some(Boolean) ? rule!(slopes, e.args, e) : undefined
    done.set(e, result)
    return result
  }
  return simplify(visit(root) ?? fixed(0, 'f32'))
}

/** `undefined` is an exact zero, which keeps `0 * inf` out. */
type Slope = Expr | undefined
type Rule = (slopes: Slope[], args: readonly Expr[], e: Expr) => Slope

const one = fixed(1, 'f32')
const zero = fixed(0, 'f32')
const plus = (a: Slope, b: Slope): Slope => (a && b ? a.add(b) : (a ?? b))
const times = (a: Slope, b: Expr): Slope => a && (a === one ? b : a.mul(b))
const pick = (condition: Expr, a: Slope, b: Slope): Slope => condition.select(a ?? zero, b ?? zero)
/** The chain rule of a function of one operand. */
const unary =
  (slope: (x: Expr, e: Expr) => Expr): Rule =>
  ([d], [x], e) =>
    times(d, slope(x, e))

const RULES: Partial<Record<OpName, Rule>> = {
  add: ([a, b]) => plus(a, b),
  sub: ([a, b]) => plus(a, b?.neg()),
  mul: ([a, b], [x, y]) => plus(times(a, y), times(b, x)),
  div: ([a, b], [, y], e) => plus(a?.div(y), times(b, e.div(y))?.neg()),
  neg: ([a]) => a?.neg(),
  min: ([a, b], [x, y]) => pick(x.lt(y), a, b),
  max: ([a, b], [x, y]) => pick(x.gt(y), a, b),
  abs: unary(x => x.gt(zero).select(one, x.lt(zero).select(fixed(-1, 'f32'), zero))),
  exp: unary((_, e) => e),
  log: ([d], [x]) => d?.div(x),
  tanh: unary((_, e) => one.sub(e.mul(e))),
  sin: unary(x => x.cos()),
  cos: unary(x => x.sin().neg()),
  sqrt: ([d], _, e) => d?.div(e.mul(fixed(2))),
  rsqrt: unary((_, e) => e.mul(e).mul(e).mul(fixed(-0.5))),
  sigmoid: unary((_, e) => e.mul(one.sub(e))),
  erf: unary(x =>
    x
      .mul(x)
      .neg()
      .exp()
      .mul(fixed(2 / Math.sqrt(Math.PI))),
  ),
  pow: ([a, b], [x, y], e) => plus(times(a, y.mul(x.pow(y.sub(fixed(1))))), times(b, x.log().mul(e))),
  select: ([, a, b], [condition]) => pick(condition, a, b),
}
