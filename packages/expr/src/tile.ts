import { AttuneError } from './error.ts'
import type { Expr } from './expr.ts'
import type { Table } from './table.ts'
import { byDistance } from './tile-distance.ts'
import { type Lowered, lower, type Shape, type TileOp } from './tile-lower.ts'

/** Numbers of the instructions; kernels mirror them. */
export const TILE_OPS: readonly TileOp[] = [
  ...(['const', 'b', 'h', 'kv', 'q.row', 'q.position', 'k.row', 'k.position', 'distance', 'at'] as const),
  ...(['add', 'sub', 'mul', 'div', 'min', 'max', 'floor', 'trunc', 'mod', 'exp', 'log', 'tanh', 'sqrt', 'sigmoid'] as const),
  ...(['lt', 'le', 'eq', 'and', 'or', 'not', 'select', 'copy', 'apply'] as const),
]
/** Where a value varies; `score` is the tile of scores itself. */
export const TILE_SHAPES: readonly Shape[] = ['uniform', 'query', 'key', 'distance', 'tile', 'score']
/** `code` begins with [instructions, slots per shape × 5, 1 if it depends on the head, 0]. */
export const TILE_HEADER = 8
/** One instruction is [op, shape, dst, a, b, c, imm, producers of a, b, c]; a place is shape << 16 | slot. */
export const TILE_INSTRUCTION = 10
/** Most instructions a program may have: kernels keep the bounds of each. */
export const TILE_LIMIT = 96

/**
 * A score or mask compiled for kernels that work a tile of scores at a time. Each value has a shape: one number, one per query, one per
 * key, one per distance q.row − k.row, or one per score; only the last costs work per score. A bool is all ones or all zeros.
 */
export interface TileProgram {
  readonly code: Int32Array
  /** `const` reads `constants[imm]` */
  readonly constants: Float32Array
  /** `at` reads `tables[imm]`; in the order of `tables(expr)` when given that */
  readonly tables: readonly Table[]
}

export interface TileOptions {
  /** Rows of queries and of keys count up by one inside a tile, so `distance` may be used. */
  readonly consecutive: boolean
  /** Order of the tables; each read table must be among them. */
  readonly tables: readonly Table[]
}

/**
 * Compiles a score (f32, may read `s`; replaces the score) or a mask (bool; masked scores become the mask value). The same code over
 * [lo, hi] pairs classifies tiles. Throws ERR_UNSUPPORTED naming an operation or variable kernels do not have.
 */
export function compileTile(root: Expr, kind: 'score' | 'mask', { consecutive, tables }: TileOptions): TileProgram {
  const { nodes, result, constants } = lower(consecutive ? byDistance(root) : root, tables)
  const work = nodes.filter(n => n.op !== 's')
  if (kind === 'mask') work.push({ op: 'apply', shape: 'tile', args: [result, SCORE], imm: 0 })
  else if (result.shape !== 'tile' && result.op !== 's') work.push({ op: 'copy', shape: 'tile', args: [result], imm: 0 })
  if (work.length > TILE_LIMIT)
    throw new AttuneError('ERR_UNSUPPORTED', `a ${kind} of ${work.length} instructions is longer than ${TILE_LIMIT}`, { kind })
  return { ...encode(work), constants: Float32Array.from(constants), tables }
}

const SCORE: Lowered = { op: 's', shape: 'score', args: [], imm: 0 }

function encode(work: Lowered[]): { code: Int32Array } {
  const lastUse = new Map<Lowered, number>()
  for (const [i, n] of work.entries()) for (const a of n.args) lastUse.set(a, i)
  const counts = [0, 0, 0, 0, 0]
  const free: number[] = []
  const place = new Map<Lowered, number>()
  const number = new Map<Lowered, number>()
  const placeOf = (n: Lowered | undefined): number => (!n ? 0 : n.op === 's' ? TILE_SHAPES.indexOf('score') << 16 : place.get(n)!)
  const code: number[] = []
  for (const [i, n] of work.entries()) {
    const shape = TILE_SHAPES.indexOf(n.shape)
    // An operand's tile is free once read: instructions go lane by lane, so the result may take its place.
    for (const a of new Set(n.args)) if (a.shape === 'tile' && lastUse.get(a) === i) free.push(place.get(a)! & 0xffff)
    const isLast = i === work.length - 1
    const slot = isLast ? 0 : n.shape === 'tile' ? (free.pop() ?? counts[shape]++) : counts[shape]++
    place.set(n, isLast ? TILE_SHAPES.indexOf('score') << 16 : (shape << 16) | slot)
    number.set(n, i)
    const [a, b, c] = n.args
    const producers = [a, b, c].map(x => (x && number.get(x)) ?? 0)
    code.push(TILE_OPS.indexOf(n.op as TileOp), shape, place.get(n)!, placeOf(a), placeOf(b), placeOf(c), n.imm, ...producers)
  }
  const byHead = work.some(n => n.op === 'h' || n.op === 'kv') ? 1 : 0
  return { code: Int32Array.from([work.length, ...counts, byHead, 0, ...code]) }
}
