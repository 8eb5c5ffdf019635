import { AttuneError } from './error.ts'
import { OPS, type OpName, type ScalarType } from './ops.ts'
import type { Table } from './table.ts'

/** What an argument may be: a traced scalar or a captured number. */
export type Operand = Expr | number | boolean

/** What a leaf holds. */
export interface Leaf {
  /** of a `const`; a bool is 1 or 0 */
  readonly value?: number
  /** of a `const`: part of the code, not a uniform */
  readonly fixed?: boolean
  /** of a `var` */
  readonly name?: string
  /** of an `at`: the table that is read; `args` are the indices */
  readonly table?: Table
}

/** A traced scalar: an immutable node of an expression graph. Integers are exact up to `MAX_INTEGER`; zero has no sign. */
export class Expr implements Leaf {
  readonly op: OpName
  readonly args: readonly Expr[]
  readonly type: ScalarType
  readonly value: number | undefined
  readonly fixed: boolean
  readonly name: string | undefined
  readonly table: Table | undefined

  /** Untyped: use the methods, `variable`, `constant` or `apply`, which check operands. */
  constructor(op: OpName, args: readonly Expr[], type: ScalarType, leaf: Leaf = {}) {
    this.op = op
    this.args = args
    this.type = type
    this.value = leaf.value
    this.fixed = leaf.fixed ?? false
    this.name = leaf.name
    this.table = leaf.table
    Object.freeze(this)
  }

  add(x: Operand): Expr {
    return apply('add', this, x)
  }
  sub(x: Operand): Expr {
    return apply('sub', this, x)
  }
  mul(x: Operand): Expr {
    return apply('mul', this, x)
  }
  /** Real division: always f32. */
  div(x: Operand): Expr {
    return apply('div', this, x)
  }
  /** Quotient of non-negative i32 by a positive i32; `assertNonNegative` proves it, the oracle throws. */
  idiv(x: Operand): Expr {
    return apply('idiv', this, x)
  }
  /** Remainder of non-negative i32 by a positive i32; like `idiv`. */
  mod(x: Operand): Expr {
    return apply('mod', this, x)
  }
  min(x: Operand): Expr {
    return apply('min', this, x)
  }
  max(x: Operand): Expr {
    return apply('max', this, x)
  }
  pow(x: Operand): Expr {
    return apply('pow', this, x)
  }
  lt(x: Operand): Expr {
    return apply('lt', this, x)
  }
  le(x: Operand): Expr {
    return apply('le', this, x)
  }
  gt(x: Operand): Expr {
    return apply('gt', this, x)
  }
  ge(x: Operand): Expr {
    return apply('ge', this, x)
  }
  eq(x: Operand): Expr {
    return apply('eq', this, x)
  }
  ne(x: Operand): Expr {
    return apply('ne', this, x)
  }
  and(x: Operand): Expr {
    return apply('and', this, x)
  }
  or(x: Operand): Expr {
    return apply('or', this, x)
  }
  neg(): Expr {
    return apply('neg', this)
  }
  abs(): Expr {
    return apply('abs', this)
  }
  /** Of an i32: itself. */
  floor(): Expr {
    return apply('floor', this)
  }
  exp(): Expr {
    return apply('exp', this)
  }
  log(): Expr {
    return apply('log', this)
  }
  tanh(): Expr {
    return apply('tanh', this)
  }
  sin(): Expr {
    return apply('sin', this)
  }
  cos(): Expr {
    return apply('cos', this)
  }
  sqrt(): Expr {
    return apply('sqrt', this)
  }
  rsqrt(): Expr {
    return apply('rsqrt', this)
  }
  sigmoid(): Expr {
    return apply('sigmoid', this)
  }
  erf(): Expr {
    return apply('erf', this)
  }
  not(): Expr {
    return apply('not', this)
  }
  /** The same number as f32; a bool becomes 1 or 0. */
  f32(): Expr {
    return apply('f32', this)
  }
  /** Toward zero; a bool becomes 1 or 0. */
  i32(): Expr {
    return apply('i32', this)
  }
  /** `this ? a : b`; kernels compute both, the oracle only the one taken. */
  select(a: Operand, b: Operand): Expr {
    return apply('select', this, a, b)
  }
}

/** Largest integer that every backend holds exactly (f32 lanes). */
export const MAX_INTEGER = 2 ** 24

/** A named input, bound per element or per tile. */
export const variable = (name: string, type: ScalarType = 'f32'): Expr => new Expr('var', [], type, { name })

/** A captured number: a uniform, so another value reuses the same kernel. Integers are i32 and adapt to f32 operands. */
export function constant(value: number | boolean, type: ScalarType = natural(value)): Expr {
  return literal(Number(value), type, false)
}

/** A number that is part of the code: it enters the signature and may be folded into the text. */
export function fixed(value: number | boolean, type: ScalarType = natural(value)): Expr {
  return literal(Number(value), type, true)
}

export const toExpr = (x: Operand): Expr => (x instanceof Expr ? x : constant(x))

/** A node with checked, promoted operands. Throws ERR_EXPR when a type does not fit. */
export function apply(op: OpName, ...operands: Operand[]): Expr {
  const { arity, rule } = OPS[op]
  const args = operands.map(toExpr)
  const types = args.map(a => a.type)
  const refuse = (wants: string): never => {
    throw new AttuneError('ERR_EXPR', `${op} wants ${wants}, got (${types.join(', ')})`, { op, types })
  }
  if (args.length !== arity) refuse(`${arity} operands`)
  switch (rule) {
    case 'leaf':
      return refuse('to be built by constant, variable or table.at')
    case 'cast':
      return cast(args[0], op as ScalarType)
    case 'logic':
      return types.every(t => t === 'bool') ? new Expr(op, args, 'bool') : refuse('bool')
    case 'integer':
      return types.every(t => t === 'i32') ? new Expr(op, args, 'i32') : refuse('i32')
    case 'float':
      if (types.includes('bool')) refuse('numbers')
      if (op === 'floor' && types[0] === 'i32') return args[0]
      return new Expr(op, alike(args, 'f32'), 'f32')
    case 'number':
      if (types.includes('bool')) refuse('numbers')
      return new Expr(op, alike(args, join(types)), join(types))
    case 'compare':
      if (types.every(t => t === 'bool')) return new Expr(op, alike(args, 'i32'), 'bool')
      if (types.includes('bool')) refuse('operands of one kind')
      return new Expr(op, alike(args, join(types)), 'bool')
    case 'select': {
      const [condition, a, b] = args
      if (condition.type !== 'bool') refuse('(bool, x, x)')
      if (a.type !== b.type && (a.type === 'bool' || b.type === 'bool')) refuse('branches of one kind')
      const type = a.type === b.type ? a.type : 'f32'
      return new Expr(op, [condition, ...alike([a, b], type)], type)
    }
  }
}

const natural = (value: number | boolean): ScalarType =>
  typeof value === 'boolean' ? 'bool' : Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? 'i32' : 'f32'
const join = (types: ScalarType[]): ScalarType => (types.includes('f32') ? 'f32' : 'i32')
const alike = (args: Expr[], type: ScalarType): Expr[] => args.map(a => cast(a, type))

function cast(e: Expr, type: ScalarType): Expr {
  if (e.type === type) return e
  if (e.op === 'const' && type !== 'bool') return literal(type === 'i32' ? Math.trunc(e.value!) : e.value!, type, e.fixed)
  return new Expr(type as OpName, [e], type)
}

function literal(value: number, type: ScalarType, isFixed: boolean): Expr {
  if (!Number.isFinite(Math.fround(value)))
    throw new AttuneError('ERR_EXPR', `a captured number must be finite in f32, got ${value}`, { value })
  if (type === 'i32' && !Number.isInteger(value)) throw new AttuneError('ERR_EXPR', `${value} is not an i32`, { value })
  return new Expr('const', [], type, { value: value + 0, fixed: isFixed })
}
