import { capacity, type Dim, isLength, type LengthValues, type Param, type Storage, type Type } from '@attune/tensor'
import { encoded, perWord } from './element.ts'
import { gridOf, type Operand, paramValue, SIZE, type Uniform } from './text.ts'

/**
 * A walk over a dense array's places, laid out by capacities. Only a Length in front shortens it; places beyond another Length's value are
 * passed over.
 */
export interface Walk {
  /** Places to visit. */
  readonly count: Param
  readonly uniforms: readonly Uniform[]
  /** Statements: coordinates `c0 c1 …` of place `at`. */
  readonly coordinates: string
  /** True where place `at` is within this run's lengths; undefined when it always is. */
  readonly inside: string | undefined
}

export function walk(shape: readonly Dim[], prefix = 'c'): Walk {
  const steps = shape.map((_, a) => shape.slice(a + 1).reduce<number>((t, d) => t * capacity(d), 1))
  const lead = shape.findIndex(d => d !== 1)
  const checked = shape.flatMap((d, a) => (isLength(d) && a !== lead ? [{ a, d }] : []))
  return {
    count: lead < 0 ? 1 : isLength(shape[lead]) ? times([shape[lead], steps[lead]]) : steps[lead] * shape[lead],
    uniforms: checked.map(({ a, d }) => ({ name: `${prefix}${a}_end`, type: 'u32', value: d })),
    coordinates: shape
      .map((d, a) => {
        const of = steps[a] === 1 ? 'at' : `at / ${steps[a]}u`
        const value = d === 1 ? '0u' : a === lead ? of : steps[a] === 1 ? `at % ${capacity(d)}u` : `(${of}) % ${capacity(d)}u`
        return `let ${prefix}${a} = ${value};\n`
      })
      .join(''),
    inside: checked.length > 0 ? checked.map(({ a }) => `${prefix}${a} < u.${prefix}${a}_end`).join(' && ') : undefined,
  }
}

/** Element index of coordinates under the leading strides. */
export function address(strides: readonly number[], coordinates: readonly string[]): string {
  const terms = coordinates.flatMap((c, a) => (strides[a] === 0 || c === '0u' ? [] : [strides[a] === 1 ? c : `${c} * ${strides[a]}u`]))
  return terms.length > 0 ? terms.join(' + ') : '0u'
}

export const coordinates = (rank: number, prefix = 'c'): string[] => Array.from({ length: rank }, (_, a) => `${prefix}${a}`)

export interface Elementwise {
  readonly out: Type
  /** Number of the output's binding. */
  readonly binding: number
  /** Statements before the value: `at` and the coordinates are in scope. */
  readonly statements?: string
  readonly value: string
}

/** Statements that compute every element of a dense output, a word per thread. Needs the uniforms of `elementwiseUniforms`. */
export function elementwise({ out, binding, statements = '', value }: Elementwise): string {
  const { coordinates, inside } = walk(out.shape)
  const per = perWord(out.dtype)
  const word = `m${binding}[(u.at${binding} >> 2u) + `
  if (per === 1)
    return `let at = group * ${SIZE}u + lane;
if (at >= u.count) { return; }
${coordinates}${inside ? `if (!(${inside})) { return; }\n` : ''}${statements}${word}at] = ${encoded(out.dtype, value)};`
  return `let first = (group * ${SIZE}u + lane) * ${per}u;
if (first >= u.count) { return; }
var word = 0u;
for (var part = 0u; part < ${per}u; part++) {
let at = first + part;
if (at >= u.count) { break; }
${coordinates}${inside ? `if (!(${inside})) { continue; }\n` : ''}${statements}word |= ${encoded(out.dtype, value)} << (part * ${32 / per}u);
}
${word}first / ${per}u] = word;`
}

export function elementwiseUniforms({ shape }: Type): Uniform[] {
  const { count, uniforms } = walk(shape)
  return [{ name: 'count', type: 'u32', value: count }, ...uniforms]
}

export function elementwiseGrid({ shape, dtype }: Type): (n: LengthValues) => readonly [number, number, number] {
  const { count } = walk(shape)
  const each = SIZE * perWord(dtype)
  return gridOf(n => Math.ceil(paramValue(count, n) / each))
}

/** The product of dimensions as one parameter. */
export function times(dims: readonly Dim[]): Param {
  const fixed = dims.reduce<number>((t, d) => (typeof d === 'number' ? t * d : t), 1)
  const lengths = dims.filter(isLength)
  if (lengths.length === 0) return fixed
  return fixed === 1 && lengths.length === 1 ? lengths[0] : { product: [fixed, ...lengths] }
}

export const output = (dtype: Storage, name = 'out'): Operand => ({ name, dtype, write: true })
