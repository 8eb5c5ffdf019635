import { AttuneError } from './error.ts'
import { Expr, type Operand, toExpr } from './expr.ts'

export interface TableOptions {
  readonly dtype: 'f32' | 'i32'
  /** number of indices, 1 to 3 */
  readonly rank: number
  readonly name?: string
}

/** An operand of the op that carries the Expr, read by index. `operand` is never looked into. */
export class Table {
  readonly operand: unknown
  readonly dtype: 'f32' | 'i32'
  readonly rank: number
  readonly name: string | undefined
  constructor(operand: unknown, { dtype, rank, name }: TableOptions) {
    if (!(rank >= 1 && rank <= 3)) throw new AttuneError('ERR_EXPR', `a table has rank 1, 2 or 3, got ${rank}`, { rank })
    this.operand = operand
    this.dtype = dtype
    this.rank = rank
    this.name = name
  }
  /** The element at i32 indices. Out of range: the oracle throws, kernels clamp each index. */
  at(...indices: Operand[]): Expr {
    const args = indices.map(toExpr)
    const types = args.map(a => a.type)
    if (args.length !== this.rank || types.some(t => t !== 'i32')) {
      throw new AttuneError(
        'ERR_EXPR',
        `table${this.name ? ` ${this.name}` : ''} wants ${this.rank} i32 indices, got (${types.join(', ')})`,
        { types },
      )
    }
    return new Expr('at', args, this.dtype, { table: this })
  }
}

/** `table(tensor, { dtype: 'f32', rank: 1 }).at(h)`: another operand of the same dtype and rank reuses the same kernel. */
export const table = (operand: unknown, options: TableOptions): Table => new Table(operand, options)

/** The same operand read the same way is one table. */
export const sameTable = (a: Table, b: Table): boolean =>
  a === b || (Object.is(a.operand, b.operand) && a.dtype === b.dtype && a.rank === b.rank)
