import { apply, constant, type Expr, fixed } from './expr.ts'
import { rebuild, same } from './graph.ts'
import { OPS, type OpName, type ScalarType } from './ops.ts'

/**
 * An equal, usually smaller expression. Only fixed numbers decide a rewrite by their value, so expressions that share a signature
 * still share it afterwards; captured numbers meeting each other become one captured number.
 */
export function simplify(root: Expr): Expr {
  const done = new Map<Expr, Expr>()
  const visit = (e: Expr): Expr => {
    let result = done.get(e)
    if (!result) {
      result = reduce(rebuild(e, e.args.map(visit)))
      done.set(e, result)
    }
    return result
  }
  return visit(root)
}

type Rule = (e: Expr, a: Expr, b: Expr, c: Expr) => Expr | undefined

/** Applies rules at one node until none fits; operands are already simple, results of rules are built from them. */
function reduce(e: Expr): Expr {
  const next = fold(e) ?? RULES[e.op]?.(e, e.args[0], e.args[1], e.args[2])
  return next ? reduce(next) : e
}

function fold(e: Expr): Expr | undefined {
  if (e.args.length === 0 || e.op === 'at' || e.args.some(a => a.op !== 'const')) return undefined
  const [a, b = 0, c = 0] = e.args.map(x => x.value!)
  if (OPS[e.op].rule === 'integer' && !(a >= 0 && b >= 1)) return undefined
  const meaning: (a: number, b: number, c: number) => number = OPS[e.op].meaning
  const value = meaning(a, b, c)
  if (!Number.isFinite(Math.fround(value))) return undefined
  return e.args.every(x => x.fixed) ? fixed(value, e.type) : constant(value, e.type)
}

const is = (e: Expr, value: number): boolean => e.op === 'const' && e.fixed && e.value === value
const isInt = (e: Expr): boolean => e.type === 'i32'
const number = (value: number, type: ScalarType): Expr => fixed(value, type)

/** `x + c` of integers as [x, c]; a captured c stays captured. */
function offset(e: Expr): [Expr, Expr] | undefined {
  if (!isInt(e) || e.args[1]?.op !== 'const') return undefined
  if (e.op === 'add') return [e.args[0], e.args[1]]
  if (e.op === 'sub') return [e.args[0], reduce(e.args[1].neg())]
  return undefined
}

const commute =
  (rule: (x: Expr, y: Expr, e: Expr) => Expr | undefined): Rule =>
  (e, a, b) =>
    rule(a, b, e) ?? rule(b, a, e)

const OPPOSITE: Partial<Record<OpName, OpName>> = { lt: 'ge', ge: 'lt', gt: 'le', le: 'gt', eq: 'ne', ne: 'eq' }

/** A comparison of a value with itself is known when NaN is impossible. */
const reflexive =
  (truth: boolean): Rule =>
  (_, a, b) =>
    isInt(a) && same(a, b) ? fixed(truth) : undefined

const RULES: Partial<Record<OpName, Rule>> = {
  add: commute((x, y) => {
    if (is(y, 0)) return x
    if (y.op === 'neg') return x.sub(y.args[0])
    const inner = y.op === 'const' ? offset(x) : undefined
    return inner?.[0].add(reduce(inner[1].add(y)))
  }),
  sub: (_, a, b) => {
    if (is(b, 0)) return a
    if (is(a, 0)) return b.neg()
    if (b.op === 'neg') return a.add(b.args[0])
    if (isInt(a) && same(a, b)) return number(0, 'i32')
    const inner = b.op === 'const' ? offset(a) : undefined
    return inner?.[0].add(reduce(inner[1].sub(b)))
  },
  mul: commute((x, y) => {
    if (is(y, 1)) return x
    if (is(y, -1)) return x.neg()
    if (is(y, 0) && isInt(y)) return y
    return undefined
  }),
  div: (_, a, b) => (is(b, 1) ? a : undefined),
  idiv: (_, a, b) => (is(b, 1) ? a : undefined),
  mod: (_, _a, b) => (is(b, 1) ? number(0, 'i32') : undefined),
  neg: (_, a) => {
    if (a.op === 'neg') return a.args[0]
    return a.op === 'sub' ? a.args[1].sub(a.args[0]) : undefined
  },
  abs: (_, a) => (a.op === 'abs' ? a : a.op === 'neg' ? a.args[0].abs() : undefined),
  min: (_, a, b) => (same(a, b) ? a : undefined),
  max: (_, a, b) => (same(a, b) ? a : undefined),
  floor: (_, a) => (a.op === 'floor' || (a.op === 'f32' && isInt(a.args[0])) ? a : undefined),
  pow: (_, a, b) => (is(b, 1) ? a : is(b, 2) ? a.mul(a) : undefined),
  le: reflexive(true),
  ge: reflexive(true),
  eq: reflexive(true),
  lt: reflexive(false),
  gt: reflexive(false),
  ne: reflexive(false),
  and: commute((x, y) => (is(y, 1) || same(x, y) ? x : is(y, 0) ? y : undefined)),
  or: commute((x, y) => (is(y, 0) || same(x, y) ? x : is(y, 1) ? y : undefined)),
  not: (_, a) => {
    if (a.op === 'not') return a.args[0]
    const opposite = OPPOSITE[a.op]
    // an ordering that is false of NaN has no opposite that is true of it
    const total = a.op === 'eq' || a.op === 'ne' || (a.args[0] && isInt(a.args[0]))
    return opposite && total ? apply(opposite, ...a.args) : undefined
  },
  select: (_, condition, a, b) => {
    if (is(condition, 1)) return a
    if (is(condition, 0)) return b
    if (condition.op === 'not') return condition.args[0].select(b, a)
    return same(a, b) ? a : undefined
  },
  i32: (_, a) => (a.op === 'f32' ? a.args[0].i32() : undefined),
  f32: (_, a) => (a.op === 'i32' && a.args[0].type === 'bool' ? a.args[0].f32() : undefined),
}
