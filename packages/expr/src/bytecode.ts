import { AttuneError } from './error.ts'
import { type Expr, MAX_INTEGER } from './expr.ts'
import { nodes, tableIndex } from './graph.ts'
import { OPS, type OpName, type ScalarType } from './ops.ts'
import type { Table } from './table.ts'

/**
 * The instruction set of elementwise maps; kernels mirror these numbers, which never change (append only).
 * Every lane is an f32: an i32 is exact up to `MAX_INTEGER`, a bool is 1 or 0. `i32` truncates toward zero. `at` reads table `imm` at
 * indices a, b, c, each clamped to its dimension. `idiv` is floor(a / b) by true division, `mod` a - b * floor(a / b).
 */
export const OPCODES = {
  copy: 0, add: 1, sub: 2, mul: 3, neg: 4, min: 5, max: 6, abs: 7, idiv: 8, mod: 9, div: 10, floor: 11, exp: 12, log: 13, tanh: 14, sin: 15,
  cos: 16, sqrt: 17, rsqrt: 18, sigmoid: 19, erf: 20, pow: 21, lt: 22, le: 23, gt: 24, ge: 25, eq: 26, ne: 27, and: 28, or: 29, not: 30,
  select: 31, i32: 32, at: 33,
} as const // biome-ignore format: one glance

/** `code` begins with [instructions, inputs, scalars, registers]. */
export const HEADER_SIZE = 4
/** One instruction is [op, dst, a, b, c, imm]; an absent operand is -1. */
export const INSTRUCTION_SIZE = 6
/** The destination of the last instruction. */
export const OUTPUT = -1

/**
 * A compiled map. Operands are numbered: inputs (one value per lane, read only), then scalars (`uniforms` followed by `constants`, the
 * same for all lanes), then registers (one block of lanes each). The last instruction writes `OUTPUT`.
 */
export interface MapProgram {
  readonly code: Int32Array
  readonly inputs: readonly { readonly name: string; readonly type: ScalarType }[]
  /** captured values, in the order of `uniforms(expr)`: not part of the code */
  readonly uniforms: readonly number[]
  /** fixed values: part of the code */
  readonly constants: readonly number[]
  readonly tables: readonly Table[]
  readonly registers: number
  readonly type: ScalarType
}

/**
 * Compiles an expression over the variables `inputNames`. Common parts are computed once and registers are reused after their last use.
 * Simplify first if wanted. Expressions of equal signature give equal `code` and `constants`. Throws ERR_EXPR for a variable that is not
 * an input and for an integer beyond `MAX_INTEGER`.
 */
export function compileMap(root: Expr, inputNames: readonly string[]): MapProgram {
  const { list, id } = nodes(root)
  const find = (e: Expr): Expr => {
    const node = list[id(e)]
    return isNoop(node) ? find(node.args[0]) : node
  }
  const used = list.filter(e => e.op === 'var')
  for (const v of used)
    if (!inputNames.includes(v.name!))
      throw new AttuneError('ERR_EXPR', `${v.name} is not an input of the map`, { name: v.name, inputs: [...inputNames] })
  const captured = list.filter(e => e.op === 'const' && !e.fixed)
  const fixedOnes = list.filter(e => e.op === 'const' && e.fixed)
  const scalars = [...captured, ...fixedOnes]
  for (const e of scalars) assertExact(e)
  const firstRegister = inputNames.length + scalars.length

  const work = list.filter(e => (e.args.length > 0 || e.op === 'at') && !isNoop(e))
  const lastUse = new Map<Expr, number>()
  work.forEach((e, at) => {
    for (const a of e.args) lastUse.set(find(a), at)
  })
  const tables: Table[] = []
  const where = new Map<Expr, number>()
  for (const e of used) where.set(e, inputNames.indexOf(e.name!))
  for (const [i, e] of scalars.entries()) where.set(e, inputNames.length + i)
  const free: number[] = []
  let registers = 0
  const code: number[] = []
  const result = find(root)
  work.forEach((e, at) => {
    const operands = e.args.map(find)
    const [a = -1, b = -1, c = -1] = operands.map(x => where.get(x)!)
    for (const x of new Set(operands)) if (lastUse.get(x) === at && where.get(x)! >= firstRegister) free.push(where.get(x)!)
    const dst = e === result ? OUTPUT : (free.pop() ?? firstRegister + registers++)
    where.set(e, dst)
    code.push(OPCODES[e.op as keyof typeof OPCODES], dst, a, b, c, e.op === 'at' ? tableIndex(tables, e.table!) : 0)
  })
  if (!work.includes(result)) code.push(OPCODES.copy, OUTPUT, where.get(result)!, -1, -1, 0)
  const typeOf = new Map(used.map(e => [e.name!, e.type]))
  return {
    code: Int32Array.from([code.length / INSTRUCTION_SIZE, inputNames.length, scalars.length, registers, ...code]),
    inputs: inputNames.map(name => ({ name, type: typeOf.get(name) ?? 'f32' })),
    uniforms: captured.map(e => e.value!),
    constants: fixedOnes.map(e => e.value!),
    tables,
    registers,
    type: root.type,
  }
}

export interface TableData {
  readonly data: ArrayLike<number>
  readonly shape: readonly number[]
}

/** Interprets a program in float64: the oracle of the kernels that run it. `inputs` in the program's order, `n` lanes each. */
export function runMap(
  program: MapProgram,
  inputs: readonly ArrayLike<number>[],
  n: number,
  tables: readonly TableData[] = program.tables.map(ownData),
): Float64Array {
  const { code, uniforms, constants } = program
  const [count, inputCount, scalarCount, registers] = code
  const scalars = [...uniforms, ...constants]
  const blocks = Array.from({ length: registers }, () => new Float64Array(n))
  const out = new Float64Array(n)
  const read = (operand: number, lane: number): number => {
    if (operand < 0) return 0
    if (operand < inputCount) return inputs[operand][lane]
    return operand < inputCount + scalarCount ? scalars[operand - inputCount] : blocks[operand - inputCount - scalarCount][lane]
  }
  for (let i = 0; i < count; i++) {
    const [op, dst, a, b, c, imm] = code.subarray(HEADER_SIZE + i * INSTRUCTION_SIZE)
    const block = dst === OUTPUT ? out : blocks[dst - inputCount - scalarCount]
    const meaning = op === OPCODES.at ? gather(tables[imm]) : MEANINGS[op]
    for (let lane = 0; lane < n; lane++) block[lane] = meaning(read(a, lane), read(b, lane), read(c, lane))
  }
  return out
}

/** Throws ERR_EXPR unless every integer is held exactly by an f32 lane: check i32 inputs and tables with this when binding. */
export function assertIntegers(values: ArrayLike<number>, what: string): void {
  for (let i = 0; i < values.length; i++) {
    if (!(Math.abs(values[i]) <= MAX_INTEGER)) {
      throw new AttuneError('ERR_EXPR', `${what}[${i}] = ${values[i]} is beyond 2^24, the largest exact integer`, {
        what,
        index: i,
        value: values[i],
      })
    }
  }
}

type Meaning = (a: number, b: number, c: number) => number

const MEANINGS: Meaning[] = Object.keys(OPCODES).map(name => (name === 'copy' ? a => a : OPS[name as OpName].meaning))

const gather = ({ data, shape }: TableData): Meaning => {
  return (...index) => data[shape.reduce((flat, size, d) => flat * size + Math.min(Math.max(index[d], 0), size - 1), 0)]
}

function ownData({ operand }: Table): TableData {
  const { data, shape } = operand as Partial<TableData>
  const list = operand as ArrayLike<number>
  return data && shape ? { data, shape } : { data: list, shape: [list.length] }
}

/** A cast that changes nothing in an f32 lane. */
const isNoop = (e: Expr): boolean => e.op === 'f32' || (e.op === 'i32' && e.args[0].type === 'bool')

const assertExact = (e: Expr): void => {
  if (e.type === 'i32') assertIntegers([e.value!], 'constant')
}
