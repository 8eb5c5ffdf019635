export type { Difference } from './affine.ts'
export { assertNonNegative, type Bounds, classify, DEFAULT_RANGES, range } from './bounds.ts'
export {
  assertIntegers,
  compileMap,
  HEADER_SIZE,
  INSTRUCTION_SIZE,
  type MapProgram,
  OPCODES,
  OUTPUT,
  runMap,
  type TableData,
} from './bytecode.ts'
export { derivative } from './derivative.ts'
export { c, cuda, type Dialect, js, wgsl } from './dialects.ts'
export { AttuneError, type ErrorCode } from './error.ts'
export { compileJs, evaluate, type Lookup, lookupArray } from './evaluate.ts'
export { apply, constant, Expr, fixed, MAX_INTEGER, type Operand, toExpr, variable } from './expr.ts'
export { nodes, rewrite, same, signature, substitute, tableReads, tables, uniforms, variables } from './graph.ts'
export { type Horizon, horizon } from './horizon.ts'
export type { Interval } from './interval.ts'
export { OPS, type OpName, type OpSpec, type ScalarType } from './ops.ts'
export { prelude, print, printBlock } from './print.ts'
export { assertMask, b, chain, h, k, kv, q, s } from './scores.ts'
export { simplify } from './simplify.ts'
export { sameTable, Table, type TableOptions, table } from './table.ts'
export {
  compileTile,
  TILE_HEADER,
  TILE_INSTRUCTION,
  TILE_LIMIT,
  TILE_OPS,
  TILE_SHAPES,
  type TileOptions,
  type TileProgram,
} from './tile.ts'
