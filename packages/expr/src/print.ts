import { type Dialect, INFIX } from './dialects.ts'
import type { Expr } from './expr.ts'
import { nodes, tables, uniforms } from './graph.ts'
import { sameTable } from './table.ts'

/** The expression as one piece of text in a dialect. Shared parts are repeated: `printBlock` names them. */
export function print(root: Expr, dialect: Dialect): string {
  return printer(root, dialect)(root).text
}

/**
 * The expression as statements and a final text. Each part used twice becomes a local `prefix0, prefix1, …`. Locals compute both sides of
 * a `select`, so reads of tables must clamp.
 */
export function printBlock(root: Expr, dialect: Dialect, prefix = 'e'): { statements: string[]; text: string } {
  const { list, id } = nodes(root)
  const uses = new Array<number>(list.length).fill(0)
  for (const e of list) for (const a of e.args) uses[id(a)]++
  const statements: string[] = []
  const names = new Map<number, string>()
  const text = printer(root, dialect, e => names.get(id(e)))
  list.forEach((e, n) => {
    if (uses[n] < 2 || (e.args.length === 0 && e.op !== 'at')) return
    const name = `${prefix}${statements.length}`
    statements.push(dialect.local(name, e.type, text(e).text))
    names.set(n, name)
  })
  return { statements, text: text(root).text }
}

/** The helper functions that a printed expression calls, each once. */
export function prelude(roots: readonly Expr[], dialect: Dialect): string {
  const used = new Set(roots.flatMap(e => nodes(e).list.map(n => n.op)))
  return [...used].flatMap(op => dialect.prelude[op] ?? []).join('\n')
}

interface Printed {
  readonly text: string
  /** how tightly the outermost operator binds; atoms bind tightest */
  readonly level: number
  readonly op?: Expr['op']
}

const ATOM = 9
const PREFIX = 7
const COMPARISON = 3

function printer(root: Expr, dialect: Dialect, local: (e: Expr) => string | undefined = () => undefined): (e: Expr) => Printed {
  const boundTables = tables(root)
  const captured = uniforms(root)
  const atom = (text: string): Printed => ({ text, level: ATOM })
  const wrap = (p: Printed, wraps: boolean): string => (wraps ? `(${p.text})` : p.text)

  const visit = (e: Expr): Printed => {
    const name = local(e)
    if (name !== undefined) return atom(name)
    if (e.op === 'const') return constant(e)
    if (e.op === 'var') return atom(dialect.variable(e.name!))
    const args = e.args.map(visit)
    if (e.op === 'at') {
      const slot = boundTables.findIndex(t => sameTable(t, e.table!))
      return atom(
        dialect.index(
          e.table!,
          slot,
          args.map(a => a.text),
        ),
      )
    }
    const template = dialect.templates[`${e.op}:${e.args[0].type}`] ?? dialect.templates[e.op]
    if (template) return atom(fill(template, args))
    if (e.op === 'neg' || e.op === 'not')
      return { text: `${e.op === 'neg' ? '-' : '!'}${wrap(args[0], args[0].level <= PREFIX)}`, level: PREFIX }
    return infix(e, args)
  }

  const constant = (e: Expr): Printed => {
    const slot = e.fixed ? -1 : captured.indexOf(e)
    if (slot >= 0 && dialect.uniform) return atom(dialect.uniform(slot, e.type))
    const text = dialect.literal(e.value!, e.type)
    return { text, level: text.startsWith('-') ? PREFIX : ATOM }
  }

  /** Parenthesised by level; comparisons and different logical operators never stand side by side, as WGSL demands. */
  const infix = (e: Expr, [a, b]: Printed[]): Printed => {
    const { text, level, chains = false } = INFIX[e.op]!
    const logical = (p: Printed): boolean => (p.op === 'and' || p.op === 'or') && p.op !== e.op
    const left = a.level < level || (a.level === level && level === COMPARISON) || logical(a)
    // a float sum or product read from the right would round differently
    const right =
      b.level < level || (b.level === level && !(chains && e.type !== 'f32' && b.op === e.op)) || logical(b) || b.level === PREFIX
    return { text: `${wrap(a, left)} ${text} ${wrap(b, right)}`, level, op: e.op }
  }
  return visit
}

/** Operands go into calls bare and into operators parenthesised; side by side, `a < b, c > d` would be a template list in WGSL. */
function fill(template: string, args: readonly Printed[]): string {
  return template.replaceAll(/([(,] ?)?\$(\d)(?=([,)])?)/g, (_, before = '', n: string, after = '') => {
    const { text, level } = args[Number(n)]
    const bare = level === ATOM || (before && after && (level > COMPARISON || (before === '(' && after === ')')))
    return before + (bare ? text : `(${text})`)
  })
}
