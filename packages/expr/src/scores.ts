import { AttuneError } from './error.ts'
import { type Expr, variable } from './expr.ts'
import { substitute, variables } from './graph.ts'

/** Batch row. */
export const b = variable('b', 'i32')
/** Query head. */
export const h = variable('h', 'i32')
/** Key/value head that query head `h` reads. */
export const kv = variable('kv', 'i32')
/** The query's row (arrival order) and position (what the position value uses). */
export const q = { row: variable('q.row', 'i32'), position: variable('q.position', 'i32') } as const
/** The key's row and position. */
export const k = { row: variable('k.row', 'i32'), position: variable('k.position', 'i32') } as const
/** The score so far. */
export const s = variable('s', 'f32')

/** One score after another, in order: `chain(alibi, softcap)` caps the biased score. Missing ones are skipped. */
export function chain(...scores: [Expr, ...(Expr | undefined)[]]): Expr
export function chain(...scores: (Expr | undefined)[]): Expr | undefined
export function chain(...scores: (Expr | undefined)[]): Expr | undefined {
  return scores.reduce((first, next) => (first && next ? substitute(next, { s: first }) : (first ?? next)), undefined)
}

/** Returns the mask. Throws ERR_EXPR unless it is a bool that does not mention the score: such a mask could not be classified. */
export function assertMask(mask: Expr): Expr {
  if (mask.type !== 'bool') throw new AttuneError('ERR_EXPR', `a mask is a bool, got ${mask.type}`, { type: mask.type })
  if (variables(mask).some(v => v.name === s.name)) throw new AttuneError('ERR_EXPR', 'a mask may not mention the score s')
  return mask
}
