import { AttuneError, MAX_INTEGER } from '@attune/expr'
import type { AttendAttrs, AttendOperands } from '@attune/ops'
import { capacity, isCodec, type Sig, storageName, type ViewType } from '@attune/tensor'
import { type AttendViews, attendViews, ROW_TYPES } from './attend-operands.ts'
import { attendPrograms } from './attend-programs.ts'

const MAX_TABLES = 8
const MAX_WIDTH = 1024
const DENSE = ['offsets', 'qRow', 'qPosition', 'sink', 'rotate', 'blocks', 'blockCounts', 'pages'] as const

/** Why the fused kernel does not take this `attend`, or undefined. */
export function attendRefusal(sig: Sig<AttendAttrs>): string | undefined {
  const { attrs } = sig
  const o = attendViews(sig)
  if (attrs.mass && o.blocks) return "slots' weights (mass) under block lists are not fused"
  if (o.q.dtype !== 'f32') return `queries are ${storageName(o.q.dtype)}, not f32`
  if (o.slots >= MAX_INTEGER || capacity(o.tokens) >= MAX_INTEGER) return `rows ride in f32, exact to 2^24; there may be ${o.slots} slots`
  return widths(o) ?? rowLayout('k', o.k, o.dK) ?? (o.v && rowLayout('v', o.v, o.dV)) ?? layouts(o) ?? lists(o, attrs) ?? programs(sig)
}

function widths({ dK, dV, heads, keyHeads, shared, keys }: AttendViews): string | undefined {
  if ([dK, dV, heads, keyHeads].some(n => typeof n !== 'number')) return 'heads and widths must be fixed numbers'
  for (const [what, n] of [
    ['keys', dK],
    ['values', dV],
  ] as const)
    if (n % 4 !== 0 || n > MAX_WIDTH) return `${what} are ${n} wide, not a multiple of 4 up to ${MAX_WIDTH}`
  if (shared && dV > dK) return `values of ${dV} numbers do not fit in keys of ${dK}`
  return shared && ROW_TYPES[keys.type] === 'q8_0' && dV % 32 !== 0 ? `values of ${dV} numbers end inside a packed block` : undefined
}

function rowLayout(name: string, { dtype, strides }: ViewType, width: number): string | undefined {
  if (!ROW_TYPES.includes(storageName(dtype))) return `${name} is ${storageName(dtype)}, not one of ${ROW_TYPES.join(', ')}`
  if (strides[3] !== 1) return `a row of ${name} is not dense`
  const block = isCodec(dtype) ? dtype.block : 1
  const whole = [width, ...strides.slice(0, 3)].every(s => s % block === 0)
  return whole ? undefined : `rows of ${name} do not begin at whole packed blocks`
}

function layouts(o: AttendViews): string | undefined {
  if (o.q.strides[2] !== 1) return 'a query is not dense'
  for (const name of DENSE) {
    const view = (o as AttendOperands<ViewType>)[name]
    if (view && !view.contiguous) return `${name} is not dense`
  }
  for (const name of ['kRow', 'kPosition'] as const) if (o[name] && o[name].strides[2] !== 1) return `${name} is not dense along the slots`
  for (const name of ['sink', 'rotate'] as const)
    if (o[name] && o[name].dtype !== 'f32') return `${name} is ${storageName(o[name].dtype)}, not f32`
  if (o.rotate && 2 * capacity(o.rotate.shape[0]) > o.dK) return `${capacity(o.rotate.shape[0])} frequencies turn more than ${o.dK} numbers`
  const integers = ['lengths', 'offsets', 'qRow', 'qPosition', 'kRow', 'kPosition', 'blocks', 'blockCounts', 'pages'] as const
  const other = integers.find(name => o[name] && o[name].dtype !== 'i32')
  return other && `${other} is not i32`
}

function lists(o: AttendViews, { block, page }: AttendAttrs): string | undefined {
  if (o.blocks && !(block && block > 0)) return 'block lists need the number of slots in a block'
  return o.pages && !(page && page > 0) ? 'pages need the number of slots in a page' : undefined
}

function programs(sig: Sig<AttendAttrs>): string | undefined {
  try {
    const { tables } = attendPrograms(sig)
    if (tables.length > MAX_TABLES) return `score and mask read ${tables.length} tables, at most ${MAX_TABLES} are bound`
    for (const { view } of tables) {
      if (view.dtype !== 'f32' && view.dtype !== 'i32') return `a table is ${storageName(view.dtype)}, not f32 or i32`
      const last = view.shape.reduce<number>((n, d, i) => n + (capacity(d) - 1) * view.strides[i], 0)
      if (view.shape.length > 3 || last >= 2 ** 31 || view.shape.some(d => capacity(d) > MAX_INTEGER)) return 'a table is too large'
    }
    return undefined
  } catch (error) {
    if (error instanceof AttuneError && error.code === 'ERR_UNSUPPORTED') return error.message
    throw error
  }
}
