import { type Dialect, type Expr, prelude, printBlock, type Table, uniforms, wgsl } from '@attune/expr'
import { type Dim, isLength, type ViewType } from '@attune/tensor'
import { converted, valueType } from './element.ts'
import type { Uniform } from './text.ts'
import { address } from './walk.ts'

/** An Expr as WGSL: statements and a value over variables that the kernel declares; captured numbers are uniforms. */
export interface ExprText {
  readonly statements: string
  readonly value: string
  readonly uniforms: readonly Uniform[]
}

/** `prefix` keeps the names of several Exprs in one kernel apart; `tableName` is the reading function of a table by its place in `tables`. */
export function exprText(expr: Expr, prefix: string, tableName: (slot: number) => string): ExprText {
  const dialect: Dialect = {
    ...wgsl,
    uniform: (slot, type) => (type === 'bool' ? wgsl.literal(uniforms(expr)[slot].value!, type) : `u.${prefix}k${slot}`),
    index: (_table, slot, indices) => `${tableName(slot)}(${indices.join(', ')})`,
  }
  const { statements, text } = printBlock(expr, dialect, `${prefix}e`)
  return {
    statements: statements.map(s => `${s}\n`).join(''),
    value: text,
    uniforms: uniforms(expr).flatMap((e, slot): Uniform[] => {
      if (e.type === 'bool') return []
      return [{ name: `${prefix}k${slot}`, type: e.type, value: e.type === 'f32' ? { f32: e.value! } : e.value! }]
    }),
  }
}

/** Functions that Exprs of a kernel call. */
export const exprHelpers = (exprs: readonly Expr[]): string => {
  const text = prelude(exprs, wgsl)
  return text && `${text}\n`
}

/** `name_at(i, …)`: a table's element, each index clamped to this run's extent. `name` is the operand's own reading function. */
export function tableReader(
  name: string,
  { shape, strides, dtype }: ViewType,
  type: Table['dtype'],
): { text: string; uniforms: Uniform[] } {
  const lengths: Uniform[] = []
  const end = (d: Dim, a: number): string => {
    if (!isLength(d)) return `${Math.max(0, d - 1)}i`
    lengths.push({ name: `${name}_end${a}`, type: 'i32', value: d })
    return `max(0i, u.${name}_end${a} - 1i)`
  }
  const clamped = shape.map((d, a) => `u32(clamp(i${a}, 0i, ${end(d, a)}))`)
  const parameters = shape.map((_, a) => `i${a}: i32`).join(', ')
  const read = converted(valueType(dtype), type, `${name}(${address(strides, clamped)})`)
  return { text: `fn ${name}_at(${parameters}) -> ${type} { return ${read}; }\n`, uniforms: lengths }
}
