import { erf } from './erf.ts'

export type ScalarType = 'f32' | 'i32' | 'bool'

/**
 * How an op's operand and result types follow from each other.
 * `number`: i32 if all are i32, else f32 · `float`: f32 · `integer`: i32 only · `compare`: numbers to bool · `logic`: bool ·
 * `select`: (bool, x, x) to x · `cast`: anything to the type in the op's name · `leaf`: given by the node.
 */
export type TypeRule = 'number' | 'float' | 'integer' | 'compare' | 'logic' | 'select' | 'cast' | 'leaf'

export interface OpSpec {
  readonly arity: number
  readonly rule: TypeRule
  /** The meaning in float64; a bool is 1 or 0. Leaves have their meaning in `evaluate.ts`. */
  readonly meaning: (a: number, b: number, c: number) => number
}

const bit = (x: boolean): number => (x ? 1 : 0)
const none = (): number => Number.NaN
const op = (arity: number, rule: TypeRule, meaning: OpSpec['meaning']): OpSpec => ({ arity, rule, meaning })

/** Every op of the language: its arity, its type rule, its meaning. */
export const OPS = {
  const: op(0, 'leaf', none),
  var: op(0, 'leaf', none),
  at: op(0, 'leaf', none),
  add: op(2, 'number', (a, b) => a + b),
  sub: op(2, 'number', (a, b) => a - b),
  mul: op(2, 'number', (a, b) => a * b),
  neg: op(1, 'number', a => -a),
  min: op(2, 'number', (a, b) => Math.min(a, b)),
  max: op(2, 'number', (a, b) => Math.max(a, b)),
  abs: op(1, 'number', Math.abs),
  idiv: op(2, 'integer', (a, b) => Math.floor(a / b)),
  mod: op(2, 'integer', (a, b) => a - b * Math.floor(a / b)),
  div: op(2, 'float', (a, b) => a / b),
  floor: op(1, 'float', Math.floor),
  exp: op(1, 'float', Math.exp),
  log: op(1, 'float', Math.log),
  tanh: op(1, 'float', Math.tanh),
  sin: op(1, 'float', Math.sin),
  cos: op(1, 'float', Math.cos),
  sqrt: op(1, 'float', Math.sqrt),
  rsqrt: op(1, 'float', a => 1 / Math.sqrt(a)),
  sigmoid: op(1, 'float', a => 1 / (1 + Math.exp(-a))),
  erf: op(1, 'float', erf),
  pow: op(2, 'float', (a, b) => a ** b),
  lt: op(2, 'compare', (a, b) => bit(a < b)),
  le: op(2, 'compare', (a, b) => bit(a <= b)),
  gt: op(2, 'compare', (a, b) => bit(a > b)),
  ge: op(2, 'compare', (a, b) => bit(a >= b)),
  eq: op(2, 'compare', (a, b) => bit(a === b)),
  ne: op(2, 'compare', (a, b) => bit(a !== b)),
  and: op(2, 'logic', (a, b) => bit(a !== 0 && b !== 0)),
  or: op(2, 'logic', (a, b) => bit(a !== 0 || b !== 0)),
  not: op(1, 'logic', a => bit(a === 0)),
  select: op(3, 'select', (a, b, c) => (a ? b : c)),
  f32: op(1, 'cast', a => a),
  i32: op(1, 'cast', Math.trunc),
} as const satisfies Record<string, OpSpec>

export type OpName = keyof typeof OPS
