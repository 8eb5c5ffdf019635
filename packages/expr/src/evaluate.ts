import { AttuneError } from './error.ts'
import type { Expr } from './expr.ts'
import { OPS } from './ops.ts'

/** Reads one element of a table's operand; `undefined` when an index is out of range. */
export type Lookup = (operand: unknown, index: number[]) => number | undefined

/**
 * The value in float64; a bool is 1 or 0. `env` binds variables by name. Throws ERR_EXPR for an unbound variable, an out-of-range
 * table read, and `idiv`/`mod` of a negative number or by less than 1. Only the taken side of `select`, `and`, `or` is computed.
 */
export function evaluate(root: Expr, env: Readonly<Record<string, number>>, lookup: Lookup = lookupArray): number {
  const names = Object.keys(env)
  return compileJs(root, names, lookup)(names.map(n => env[n]))
}

/** A closure over `values`, in the order of `names`, for JS reference loops. No code is generated, so it runs under any CSP. */
export function compileJs(root: Expr, names: readonly string[], lookup: Lookup = lookupArray): (values: ArrayLike<number>) => number {
  const uses = new Map<Expr, number>()
  const count = (e: Expr): void => {
    const n = uses.get(e) ?? 0
    uses.set(e, n + 1)
    if (n === 0) e.args.forEach(count)
  }
  count(root)
  const call = { number: 0 }
  const compiled = new Map<Expr, Closure>()
  const compile = (e: Expr): Closure => {
    let f = compiled.get(e)
    if (!f) {
      f = closure(e, e.args.map(compile), names, lookup)
      if (e.args.length > 0 && uses.get(e)! > 1) f = once(f, call)
      compiled.set(e, f)
    }
    return f
  }
  const f = compile(root)
  return values => {
    call.number++
    return f(values)
  }
}

/** Reads arrays, nested arrays, and `{ data, shape }` in row-major order. */
export const lookupArray: Lookup = (operand, index) => {
  const { data, shape } = operand as { data?: ArrayLike<number>; shape?: readonly number[] }
  if (data && shape) {
    let flat = 0
    for (let d = 0; d < index.length; d++) {
      if (!inside(index[d], shape[d])) return undefined
      flat = flat * shape[d] + index[d]
    }
    return data[flat]
  }
  let x: unknown = operand
  for (const i of index) x = (x as ArrayLike<unknown> | undefined)?.[i]
  return x as number | undefined
}

type Closure = (values: ArrayLike<number>) => number

function closure(e: Expr, args: Closure[], names: readonly string[], lookup: Lookup): Closure {
  const [a, b, c] = args
  const { arity } = OPS[e.op]
  const meaning: (a: number, b: number, c: number) => number = OPS[e.op].meaning
  switch (e.op) {
    case 'const': {
      const value = e.value!
      return () => value
    }
    case 'var': {
      const i = names.indexOf(e.name!)
      if (i < 0) throw new AttuneError('ERR_EXPR', `variable ${e.name} is not bound`, { name: e.name, bound: [...names] })
      return v => v[i]
    }
    case 'at': {
      const { operand, name = 'table' } = e.table!
      return v => {
        const index = args.map(f => f(v))
        const x = lookup(operand, index)
        if (x === undefined) throw new AttuneError('ERR_EXPR', `${name}[${index}] is out of range`, { name, index })
        return x
      }
    }
    case 'add':
      return v => a(v) + b(v)
    case 'sub':
      return v => a(v) - b(v)
    case 'mul':
      return v => a(v) * b(v)
    case 'and':
      return v => (a(v) ? b(v) : 0)
    case 'or':
      return v => (a(v) ? 1 : b(v))
    case 'select':
      return v => (a(v) ? b(v) : c(v))
    case 'idiv':
    case 'mod':
      return v => {
        const x = a(v)
        const y = b(v)
        if (!(x >= 0 && y >= 1)) throw new AttuneError('ERR_EXPR', `${e.op} of ${x} by ${y}: operands must be non-negative`, { x, y })
        return meaning(x, y, 0)
      }
  }
  return arity === 1 ? v => meaning(a(v), 0, 0) : v => meaning(a(v), b(v), 0)
}

/** Computes a shared node once per call. */
function once(f: Closure, call: { number: number }): Closure {
  let at = -1
  let value = 0
  return v => {
    if (at !== call.number) {
      value = f(v)
      at = call.number
    }
    return value
  }
}

const inside = (i: number, n: number): boolean => Number.isInteger(i) && i >= 0 && i < n
