import { AttuneError, compileJs, constant, derivative, type Expr, sameTable, type Table, tableReads, tables, variable } from '@attune/expr'
import type { Dense } from '../device.ts'
import { isCodec, isFloat, type Storage } from '../dtype.ts'
import type { Op } from '../op.ts'
import { broadcast, capacity, type Dim, product } from '../shape.ts'
import { call1, type Tensor } from '../tensor.ts'
import { fill } from './create.ts'
import { scatterRows } from './gather.ts'
import { sumTo } from './sum-to.ts'

/**
 * Elementwise map. Inputs `0 … arity-1` broadcast to the output and are the Expr's variables `x0 …`; the output index along axis j is
 * the variable `i<j>`; the remaining inputs are the operands of `tables(expr)`, in that order, read by index.
 */
export interface MapAttrs {
  readonly expr: Expr
  readonly arity: number
  readonly dtype: Storage
  /** Extra axes the output has beyond the inputs' broadcast (index maps). */
  readonly shape: readonly Dim[]
}

export const map: Op<MapAttrs> = {
  name: 'map',
  infer: (inputs, { arity, dtype, shape }) => [{ dtype, shape: broadcast(...inputs.slice(0, arity).map(t => t.shape), shape) }],
  loops(inputs, { expr, arity }, [out]) {
    const rank = out.shape.length
    const names = [...inputs.slice(0, arity).map((_, i) => `x${i}`), ...out.shape.map((_, i) => `i${i}`)]
    const operands = tables(expr).map(t => t.operand as Tensor)
    const f = compileJs(expr, names, (operand, index) => readTable(inputs[arity + operands.indexOf(operand as Tensor)], index))
    const args = new Array<number>(names.length).fill(0)
    const data = alloc(out.dtype, product(out.shape))
    const steps = inputs.slice(0, arity).map(t => denseSteps(t.shape, rank))
    const index = new Array<number>(rank).fill(0)
    for (let n = 0; n < data.length; n++) {
      for (let j = 0; j < arity; j++) {
        let at = 0
        for (let a = 0; a < rank; a++) at += index[a] * steps[j][a]
        args[j] = inputs[j].data[at]
      }
      for (let a = 0; a < rank; a++) args[arity + a] = index[a]
      data[n] = f(args)
      for (let a = rank - 1; a >= 0 && ++index[a] === out.shape[a]; a--) index[a] = 0
    }
    return [data]
  },
  vjp(inputs, _outputs, [grad], { expr, arity, dtype }) {
    if (!grad || !isFloat(dtype)) return inputs.map(() => undefined)
    // Gradient of the expression with respect to one of its leaves, times the output's gradient.
    const through = (wrt: Expr): Tensor | undefined => {
      const d = derivative(expr, wrt)
      if (d.op === 'const' && d.value === 0) return undefined
      return mapExpr(variable(`x${arity}`, 'f32').mul(d), [...inputs.slice(0, arity), grad], { dtype: 'f32' })
    }
    return inputs.map((x, i) => {
      if (!isFloat(x.dtype)) return undefined
      if (i >= arity) return tableGrad(expr, tables(expr)[i - arity], x, inputs.slice(0, arity), grad.shape, through)
      const g = through(variable(`x${i}`, 'f32'))
      return g && sumTo(g, x.shape)
    })
  },
}

/** Scatter-adds the gradient of each read of a table to the element that was read. */
function tableGrad(
  expr: Expr,
  of: Table,
  x: Tensor,
  inputs: readonly Tensor[],
  shape: readonly Dim[],
  through: (wrt: Expr) => Tensor | undefined,
): Tensor | undefined {
  const width = x.shape.map(capacity)
  let total: Tensor | undefined
  for (const read of tableReads(expr)) {
    if (!sameTable(read.table!, of)) continue
    const g = through(read)
    if (!g) continue
    const at = read.args.reduce((flat, index, a) => flat.mul(width[a]).add(index), constant(0, 'i32'))
    // Where a `select` does not take the read, its index may be anything; the gradient is 0 there.
    const taken = variable(`x${inputs.length}`, 'f32').eq(0).select(-1, at)
    const index = mapExpr(taken, [...inputs, g], { dtype: 'i32', shape })
    total = scatterFlat(total ?? fill(0, [product(width), 1]), index, g)
  }
  return total?.reshape(x.shape)
}
const scatterFlat = (total: Tensor, index: Tensor, g: Tensor): Tensor => scatterRows(total, index, g.unsqueeze(g.rank), 'add')

/** Traces `f` over the inputs and appends an elementwise map. */
export function mapWith(
  f: (...x: Expr[]) => Expr,
  inputs: readonly Tensor[],
  options: { dtype?: Storage; shape?: readonly Dim[] } = {},
): Tensor {
  return mapExpr(f(...inputs.map((t, i) => variable(`x${i}`, varType(t.dtype)))), inputs, options)
}

export function mapExpr(
  expr: Expr,
  inputs: readonly Tensor[],
  { dtype, shape = [] }: { dtype?: Storage; shape?: readonly Dim[] } = {},
): Tensor {
  const operands = tables(expr).map(t => t.operand as Tensor)
  return call1(map, [...inputs, ...operands], { expr, arity: inputs.length, dtype: dtype ?? expr.type, shape })
}

/** Type an Expr variable has for a storage type. */
const varType = (t: Storage): 'f32' | 'i32' | 'bool' => (t === 'bool' ? 'bool' : t === 'i32' || t === 'u8' ? 'i32' : 'f32')

/** The typed array a dense value of this type uses in JS loops. */
export function alloc(dtype: Storage, n: number): Float32Array | Int32Array | Uint8Array {
  if (isCodec(dtype)) throw new AttuneError('ERR_DTYPE', `an op cannot write ${dtype.name}`, { codec: dtype.name })
  return dtype === 'i32' ? new Int32Array(n) : dtype === 'u8' || dtype === 'bool' ? new Uint8Array(n) : new Float32Array(n)
}

/** Element steps of a dense operand broadcast to `rank` axes. */
export function denseSteps(shape: readonly number[], rank: number): number[] {
  const steps = new Array<number>(rank).fill(0)
  let step = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    steps[rank - shape.length + i] = shape[i] === 1 ? 0 : step
    step *= shape[i]
  }
  return steps
}

function readTable(t: Dense, index: readonly number[]): number | undefined {
  let at = 0
  for (let a = 0; a < t.shape.length; a++) {
    if (!(index[a] >= 0 && index[a] < t.shape[a])) return undefined
    at = at * t.shape[a] + index[a]
  }
  return t.data[at]
}
