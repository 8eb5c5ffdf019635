import fc from 'fast-check'
import { constant, Expr, fixed, js, print, table, variable } from '../src/index.ts'

Object.defineProperty(Expr.prototype, fc.toStringMethod, {
  value(this: Expr) {
    return print(this, js)
  },
})

export const T1 = table([3, -1, 2.5, 0.25], { dtype: 'f32', rank: 1, name: 'bias' })
export const T2 = table([2, 0, 3, 1, 1], { dtype: 'i32', rank: 1, name: 'ids' })
export const FLOATS = ['x', 'y']
export const INTEGERS = ['i', 'j']
export const NAMES = [...FLOATS, ...INTEGERS]

/** Values of all variables; integers may be negative. */
export const environment = fc.record({
  x: fc.double({ min: -4, max: 4, noNaN: true }),
  y: fc.double({ min: -4, max: 4, noNaN: true }),
  i: fc.integer({ min: -9, max: 9 }),
  j: fc.integer({ min: -9, max: 9 }),
})

const number = (value: fc.Arbitrary<number>) => fc.tuple(value, fc.boolean()).map(([v, isFixed]) => (isFixed ? fixed(v) : constant(v)))

/** Random expressions that are defined everywhere: indices in range, idiv and mod non-negative, roots and logarithms of positives. */
export const expressions: { f32: fc.Arbitrary<Expr>; i32: fc.Arbitrary<Expr>; bool: fc.Arbitrary<Expr> } = fc.letrec<{
  f32: Expr
  i32: Expr
  bool: Expr
}>(tie => {
  const two = (x: 'f32' | 'i32' | 'bool') => fc.tuple(tie(x), tie(x))
  const pick = (x: 'f32' | 'i32') => fc.tuple(tie('bool'), tie(x), tie(x)).map(([c, a, b]) => c.select(a, b))
  const compare = (x: 'f32' | 'i32') =>
    fc.tuple(fc.constantFrom('lt', 'le', 'gt', 'ge', 'eq', 'ne'), tie(x), tie(x)).map(([op, a, b]) => a[op as 'lt'](b))
  const arithmetic = (x: 'f32' | 'i32') => [
    fc.tuple(fc.constantFrom('add', 'sub', 'min', 'max'), tie(x), tie(x)).map(([op, a, b]) => a[op as 'add'](b)),
    fc.tuple(fc.constantFrom('neg', 'abs'), tie(x)).map(([op, a]) => a[op as 'neg']()),
    fc.tuple(tie(x), tie(x)).map(([a, b]) => a.max(-9).min(9).mul(b.max(-9).min(9))),
    pick(x),
  ]
  const depth = { maxDepth: 5, depthSize: 'small' } as const
  return {
    f32: fc.oneof(
      depth,
      fc.constantFrom(...FLOATS).map(n => variable(n)),
      number(fc.constantFrom(0, 1, -1, 2, 0.5, -3.25)).map(e => e.f32()),
      ...arithmetic('f32'),
      two('f32').map(([a, b]) => a.div(b.abs().add(0.5))),
      fc.tuple(fc.constantFrom('tanh', 'sin', 'cos', 'sigmoid', 'erf', 'floor'), tie('f32')).map(([op, a]) => a[op as 'tanh']()),
      tie('f32').map(a => a.min(5).exp()),
      fc.tuple(fc.constantFrom('log', 'sqrt', 'rsqrt'), tie('f32')).map(([op, a]) => a.abs().add(0.5)[op as 'log']()),
      two('f32').map(([a, b]) => a.abs().add(0.5).min(4).pow(b.max(-3).min(3))),
      tie('i32').map(a => a.f32()),
      tie('bool').map(a => a.f32()),
      tie('i32').map(a => T1.at(a.max(0).min(3))),
    ),
    i32: fc.oneof(
      depth,
      fc.constantFrom(...INTEGERS).map(n => variable(n, 'i32')),
      number(fc.integer({ min: -3, max: 3 })),
      ...arithmetic('i32'),
      fc.tuple(fc.constantFrom('idiv', 'mod'), tie('i32'), tie('i32')).map(([op, a, b]) => a.max(0)[op as 'idiv'](b.max(1))),
      tie('f32').map(a => a.max(-99).min(99).i32()),
      tie('bool').map(a => a.i32()),
      tie('i32').map(a => T2.at(a.abs().min(4))),
    ),
    bool: fc.oneof(
      depth,
      fc.boolean().chain(v => fc.constantFrom(constant(v), fixed(v))),
      compare('f32'),
      compare('i32'),
      two('bool').map(([a, b]) => a.and(b)),
      two('bool').map(([a, b]) => a.or(b)),
      two('bool').map(([a, b]) => a.ne(b)),
      tie('bool').map(a => a.not()),
    ),
  }
})

export const anyExpr = fc.oneof(expressions.f32, expressions.i32, expressions.bool)
