import { apply, constant, type Expr, type Operand, variable } from './expr.ts'
import { rewrite } from './graph.ts'
import type { OpName } from './ops.ts'

/** q.row − k.row, where both count up by one inside a tile: a tile then holds only queries + keys − 1 different values. */
export const distance = variable('q.row - k.row', 'i32')

/** Rewrites whatever depends on the rows through q.row − k.row alone, both sides of a comparison included. Values stay the same. */
export const byDistance = (root: Expr): Expr =>
  rewrite(root, e => {
    if (COMPARISONS.has(e.op)) return compareDistance(e)
    const a = affine(e)
    if (!a || !isDistance(a)) return undefined
    return e.type === 'f32' ? scaled(a).f32() : scaled(a)
  })

/** query · q.row + key · k.row + offset, all whole numbers: f32 lanes hold it exactly. */
interface Affine {
  readonly query: number
  readonly key: number
  readonly offset: number
}

const COMPARISONS = new Set<OpName>(['lt', 'le', 'gt', 'ge', 'eq', 'ne'])
const isDistance = (a: Affine): boolean => a.query !== 0 && a.query === -a.key

function compareDistance(e: Expr): Expr | undefined {
  const [left, right] = e.args.map(affine)
  if (!left || !right) return undefined
  const a = plus(left, right, -1)
  if (!isDistance(a)) return undefined
  const positive = a.query > 0
  const side = times(distance, Math.abs(a.query))
  return positive ? apply(e.op, side, -a.offset) : apply(e.op, constant(a.offset), side)
}

const scaled = ({ query, offset }: Affine): Expr => {
  const x = query === -1 ? distance.neg() : times(distance, query)
  return offset === 0 ? x : x.add(offset)
}
const times = (x: Expr, factor: Operand): Expr => (factor === 1 ? x : x.mul(factor))
const plus = (a: Affine, b: Affine, sign: number): Affine => ({
  query: a.query + sign * b.query,
  key: a.key + sign * b.key,
  offset: a.offset + sign * b.offset,
})

function affine(e: Expr): Affine | undefined {
  if (e.type === 'bool') return undefined
  switch (e.op) {
    case 'const':
      return Number.isInteger(e.value) ? { query: 0, key: 0, offset: e.value! } : undefined
    case 'var':
      if (e.name === 'q.row') return { query: 1, key: 0, offset: 0 }
      return e.name === 'k.row' ? { query: 0, key: 1, offset: 0 } : undefined
    case 'f32':
      return affine(e.args[0])
    case 'neg':
    case 'add':
    case 'sub':
    case 'mul':
      break
    default:
      return undefined
  }
  const zero = { query: 0, key: 0, offset: 0 }
  const [a, b = zero] = e.args.map(affine)
  if (!a || !b) return undefined
  if (e.op === 'neg') return plus(zero, a, -1)
  if (e.op !== 'mul') return plus(a, b, e.op === 'add' ? 1 : -1)
  const [factor, x] = a.query === 0 && a.key === 0 ? [a, b] : [b, a]
  return factor.query === 0 && factor.key === 0 ? plus(zero, x, factor.offset) : undefined
}
