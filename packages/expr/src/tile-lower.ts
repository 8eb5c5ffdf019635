import { AttuneError } from './error.ts'
import type { Expr } from './expr.ts'
import { variables } from './graph.ts'
import { sameTable, type Table } from './table.ts'
import { distance } from './tile-distance.ts'

export type Shape = 'uniform' | 'query' | 'key' | 'distance' | 'tile' | 'score'
export type TileOp = Leaf | Arithmetic | 'copy' | 'apply'
type Leaf = 'const' | 'b' | 'h' | 'kv' | 'q.row' | 'q.position' | 'k.row' | 'k.position' | 'distance' | 'at'
type Arithmetic = (typeof SAME)[number] | 'trunc'

/** An instruction before it has a place. `s` stands for the scores themselves. */
export interface Lowered {
  readonly op: TileOp | 's'
  readonly shape: Shape
  readonly args: readonly Lowered[]
  /** constant or table read */
  readonly imm: number
}

/** Operations that are one instruction of the same name. */
const SAME = [
  ...(['add', 'sub', 'mul', 'div', 'min', 'max', 'floor', 'mod', 'exp', 'log', 'tanh', 'sqrt', 'sigmoid'] as const),
  ...(['lt', 'le', 'eq', 'and', 'or', 'not', 'select'] as const),
] as const
const LEAVES: Readonly<Record<string, Shape>> = {
  b: 'uniform',
  h: 'uniform',
  kv: 'uniform',
  'q.row': 'query',
  'q.position': 'query',
  'k.row': 'key',
  'k.position': 'key',
}

/** Turns an expression into instructions, operands before users, each distinct value once. */
export function lower(root: Expr, tables: readonly Table[]): { nodes: Lowered[]; result: Lowered; constants: number[] } {
  const constants: number[] = []
  const nodes: Lowered[] = []
  const numbers = new Map<Lowered, number>()
  const byKey = new Map<string, Lowered>()
  const emit = (op: Lowered['op'], shape: Shape, args: readonly Lowered[] = [], imm = 0): Lowered => {
    const key = `${op} ${imm} ${args.map(a => numbers.get(a)).join(' ')}`
    let node = byKey.get(key)
    if (!node) {
      node = { op, shape, args, imm }
      numbers.set(node, nodes.push(node) - 1)
      byKey.set(key, node)
    }
    return node
  }
  const number = (value: number): Lowered => {
    const x = Math.fround(value)
    const known = constants.indexOf(x)
    return emit('const', 'uniform', [], known >= 0 ? known : constants.push(x) - 1)
  }
  const op = (name: TileOp, ...args: Lowered[]): Lowered => emit(name, joined(args), args)
  const done = new Map<Expr, Lowered>()
  const visit = (e: Expr): Lowered => {
    let node = done.get(e)
    if (!node) {
      node = translate(e)
      done.set(e, node)
    }
    return node
  }
  const translate = (e: Expr): Lowered => {
    if (e === distance) return emit('distance', 'distance')
    if (e.op === 'const') return e.type === 'bool' ? op(e.value ? 'le' : 'lt', number(0), number(0)) : number(e.value!)
    if (e.op === 'var') {
      if (e.name === 's') return emit('s', 'score')
      const shape = LEAVES[e.name!]
      return shape ? emit(e.name as Leaf, shape) : refuse(`the variable ${e.name}`)
    }
    if (e.op === 'at') {
      const args = e.args.map(visit)
      const table = tables.findIndex(t => sameTable(t, e.table!))
      if (table < 0) return refuse(`the table ${e.table!.name ?? ''}, which is not listed,`)
      return emit('at', joined(args), args, table)
    }
    return operation(e)
  }
  const operation = (e: Expr): Lowered => {
    const [x, y, z] = e.args
    switch (e.op) {
      case 'select':
        // Of bools by logic, so that bounds of a select are always bounds of numbers.
        if (e.type !== 'bool') break
        return op('or', op('and', visit(x), visit(y)), op('and', op('not', visit(x)), visit(z)))
      case 'f32':
        return x.type === 'bool' ? op('select', visit(x), number(1), number(0)) : visit(x)
      case 'i32':
        return x.type === 'bool' ? op('select', visit(x), number(1), number(0)) : op('trunc', visit(x))
      case 'neg':
        return op('sub', number(0), visit(x))
      case 'abs':
        return op('max', visit(x), op('sub', number(0), visit(x)))
      case 'gt':
        return op('lt', visit(y), visit(x))
      case 'ge':
        return op('le', visit(y), visit(x))
      case 'ne':
        return op('not', op('eq', visit(x), visit(y)))
      case 'idiv':
        return op('floor', op('div', visit(x), visit(y)))
      case 'rsqrt':
        return op('div', number(1), op('sqrt', visit(x)))
      case 'div':
        // A reciprocal is right for scores only: floor(q · (1/50)) is not floor(q / 50).
        return y.op === 'const' && usesScore(x) ? op('mul', visit(x), number(1 / y.value!)) : op('div', visit(x), visit(y))
      case 'pow':
        return power(x, y)
    }
    const name = SAME.find(s => s === e.op)
    return name ? op(name, ...e.args.map(visit)) : refuse(e.op)
  }
  const power = (base: Expr, exponent: Expr): Lowered => {
    if (exponent.op === 'const' && exponent.value === 2) return op('mul', visit(base), visit(base))
    if (base.op === 'const' && base.value! > 0) return op('exp', op('mul', visit(exponent), number(Math.log(base.value!))))
    return refuse('pow of a base that is not a positive constant')
  }
  const result = visit(root)
  return { nodes, result, constants }
}

const refuse = (what: string): never => {
  throw new AttuneError('ERR_UNSUPPORTED', `tile programs have no instruction for ${what}`, { what })
}

/** The shape of a value computed from these: one varying side keeps its shape, two different ones fill the tile. */
function joined(args: readonly Lowered[]): Shape {
  let shape: Shape = 'uniform'
  for (const a of args) {
    const next = a.shape === 'score' ? 'tile' : a.shape
    if (shape === 'uniform') shape = next
    else if (next !== 'uniform' && next !== shape) shape = 'tile'
  }
  return shape
}

const usesScore = (e: Expr): boolean => variables(e).some(v => v.name === 's')
