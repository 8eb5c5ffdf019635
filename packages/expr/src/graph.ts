import { AttuneError } from './error.ts'
import { apply, type Expr, type Operand, toExpr } from './expr.ts'
import type { ScalarType } from './ops.ts'
import { sameTable, type Table } from './table.ts'

/** The distinct nodes, operands before users. Structurally equal nodes count once: `id` maps each node to its number. */
export function nodes(root: Expr): { list: Expr[]; id: (e: Expr) => number } {
  const list: Expr[] = []
  const ids = new Map<Expr, number>()
  const byKey = new Map<string, number>()
  const seenTables: Table[] = []
  const uniformIds = new Map<Expr, number>()
  const leaf = (e: Expr): string => {
    if (e.op === 'const') return e.fixed ? `#${e.value}` : `u${uniformIds.get(e) ?? uniformIds.set(e, uniformIds.size).get(e)}`
    if (e.op === 'var') return e.name!
    if (e.op === 'at') return `t${tableIndex(seenTables, e.table!)}`
    return ''
  }
  const id = (e: Expr): number => {
    const known = ids.get(e)
    if (known !== undefined) return known
    const key = `${e.op} ${e.type} ${leaf(e)} ${e.args.map(id).join(' ')}`
    let n = byKey.get(key)
    if (n === undefined) {
      n = list.push(e) - 1
      byKey.set(key, n)
    }
    ids.set(e, n)
    return n
  }
  id(root)
  return { list, id }
}

/** Distinct tables in order of first use. */
export function tables(root: Expr): Table[] {
  const found: Table[] = []
  for (const e of nodes(root).list) if (e.op === 'at') tableIndex(found, e.table!)
  return found
}

/** Captured numbers that are not fixed, in order of first use: the nodes; `value` and `type` are what to bind. */
export const uniforms = (root: Expr): Expr[] => nodes(root).list.filter(e => e.op === 'const' && !e.fixed)

/** Distinct variables in order of first use. */
export const variables = (root: Expr): Expr[] => nodes(root).list.filter(e => e.op === 'var')

/** The distinct reads of tables, with their index expressions in `args`. */
export const tableReads = (root: Expr): Expr[] => nodes(root).list.filter(e => e.op === 'at')

/** Equal for expressions that share code: captured numbers count as slots, tables by dtype, rank and sameness. */
export function signature(root: Expr): string {
  const { list, id } = nodes(root)
  const captured = list.filter(e => e.op === 'const' && !e.fixed)
  const found: Table[] = []
  const text = (e: Expr): string => {
    if (e.op === 'const') return e.fixed ? `${e.value}:${e.type}` : `u${captured.indexOf(e)}:${e.type}`
    if (e.op === 'var') return `${e.name}:${e.type}`
    const args = e.args.map(a => `$${id(a)}`).join(',')
    return e.op === 'at' ? `t${tableIndex(found, e.table!)}:${e.type}[${args}]` : `${e.op}(${args})`
  }
  return list.map(text).join(';')
}

/** Replaces variables by name. An i32 replacement of an f32 is cast; throws ERR_EXPR for other changes of type. */
export function substitute(root: Expr, values: Readonly<Record<string, Operand>>): Expr {
  return rewrite(root, e => (e.op === 'var' && Object.hasOwn(values, e.name!) ? fit(toExpr(values[e.name!]), e.type, e.name!) : undefined))
}

/** Rebuilds bottom-up; where `change` returns a node for the original, that node stands in its place. Untouched parts stay the same objects. */
export function rewrite(root: Expr, change: (original: Expr) => Expr | undefined): Expr {
  const done = new Map<Expr, Expr>()
  const visit = (e: Expr): Expr => {
    let result = done.get(e)
    if (!result) {
      result = change(e) ?? rebuild(e, e.args.map(visit))
      done.set(e, result)
    }
    return result
  }
  return visit(root)
}

/** The same node over other operands. */
export function rebuild(e: Expr, args: readonly Expr[]): Expr {
  if (args.every((a, i) => a === e.args[i])) return e
  return e.op === 'at' ? e.table!.at(...args) : apply(e.op, ...args)
}

/** Structural equality. */
export function same(a: Expr, b: Expr): boolean {
  if (a === b) return true
  if (a.op !== b.op || a.type !== b.type || a.name !== b.name || a.args.length !== b.args.length) return false
  if (a.op === 'const') return a.fixed && b.fixed && a.value === b.value
  if (a.op === 'at' && !sameTable(a.table!, b.table!)) return false
  return a.args.every((x, i) => same(x, b.args[i]))
}

export function tableIndex(list: Table[], t: Table): number {
  const i = list.findIndex(x => sameTable(x, t))
  return i >= 0 ? i : list.push(t) - 1
}

function fit(e: Expr, type: ScalarType, name: string): Expr {
  if (e.type === type) return e
  if (type === 'f32' && e.type === 'i32') return e.f32()
  throw new AttuneError('ERR_EXPR', `cannot replace ${name}: ${type} by ${e.type}`, { name, type, by: e.type })
}
