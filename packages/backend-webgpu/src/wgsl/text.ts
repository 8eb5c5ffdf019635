import type { LengthValues, Param, Storage } from '@attune/tensor'
import { resolve } from '@attune/tensor'
import { elementHelpers, reader, writer } from './element.ts'

/** Threads of a workgroup. */
export const SIZE = 64
/** Most workgroups along one axis, everywhere. */
const MOST = 65535

export interface Operand {
  readonly name: string
  readonly dtype: Storage
  /** Written in words: `put_name` where the type is one; also readable. */
  readonly write?: boolean
}

/** A parameter by the name the text has for it, `u.<name>`. */
export interface Uniform {
  readonly name: string
  readonly type: 'u32' | 'i32' | 'f32'
  readonly value: Param
}

export interface KernelText {
  /** In the order of the launch's bindings; a hole is a binding that is not used. */
  readonly operands: readonly (Operand | undefined)[]
  readonly uniforms: readonly Uniform[]
  /** Functions and workgroup variables. */
  readonly functions?: string
  readonly size?: number
  /** Statements of `main`. In scope: `group` (number of the workgroup along x and y), `groups` (z and the counts), `lane`. */
  readonly main: string
}

/**
 * One compute shader. Operand k is the array of words `m<k>`, read through functions named after it; its first byte is `u.at<k>`,
 * so that several operands may lie in one buffer.
 */
export function kernelText({ operands, uniforms, functions = '', size = SIZE, main }: KernelText): string {
  const fields = [...operands.map((_, k) => `at${k}: u32`), ...uniforms.map(p => `${p.name}: ${p.type}`)]
  const declared = operands.map((o, k) =>
    o ? `@group(0) @binding(${k + 1}) var<storage, ${o.write ? 'read_write' : 'read'}> m${k}: array<u32>;\n` : '',
  )
  const access = operands.map((o, k) => {
    if (!o) return ''
    return reader(o.name, k, o.dtype) + (o.write && (o.dtype === 'f32' || o.dtype === 'i32') ? writer(o.name, k, o.dtype) : '')
  })
  return `struct Uniforms { ${fields.join(', ')} }
@group(0) @binding(0) var<uniform> u: Uniforms;
${declared.join('')}${elementHelpers(operands.flatMap(o => (o ? [o.dtype] : [])))}${access.join('')}${functions}
@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) ids: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let group = id.y * ids.x + id.x;
${indent(main)}
}
`
}

/** A grid of at least `count` workgroups: `group` counts them, the last ones may be too many. */
export function gridOf(count: (n: LengthValues) => number): (n: LengthValues) => readonly [number, number, number] {
  return n => {
    const all = count(n)
    return all <= MOST ? [all, 1, 1] : [MOST, Math.ceil(all / MOST), 1]
  }
}

/** Value of an integer parameter. */
export function paramValue(p: Param, n: LengthValues): number {
  if (typeof p !== 'object') return p
  if ('f32' in p) return p.f32
  return 'product' in p ? p.product.reduce<number>((a, d) => a * resolve(d, n), 1) : resolve(p, n)
}

export const indent = (text: string): string =>
  text
    .split('\n')
    .filter(line => line !== '')
    .map(line => `  ${line}`)
    .join('\n')
