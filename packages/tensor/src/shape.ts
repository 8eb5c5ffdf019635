import { AttuneError } from '@attune/expr'

/**
 * A symbolic dimension: a name with a capacity. Plans, arenas and recordings see `max`; loops and masks see the value set per run.
 * Two Lengths are the same dimension only when they are the same object.
 */
export interface Length {
  readonly kind: 'length'
  readonly name: string
  readonly max: number
}
export type Dim = number | Length

export const length = (name: string, max: number): Length => ({ kind: 'length', name, max })
export const isLength = (d: Dim): d is Length => typeof d === 'object'
/** Extent used for layout: the number itself, or a Length's capacity. */
export const capacity = (d: Dim): number => (typeof d === 'number' ? d : d.max)
export const sameDim = (a: Dim, b: Dim): boolean => a === b
export const sameShape = (a: readonly Dim[], b: readonly Dim[]): boolean => a.length === b.length && a.every((d, i) => d === b[i])
const showDim = (d: Dim): string => (typeof d === 'number' ? String(d) : `${d.name}≤${d.max}`)
export const showShape = (s: readonly Dim[]): string => `(${s.map(showDim).join(', ')})`
export const product = (s: readonly number[]): number => s.reduce((a, b) => a * b, 1)
export const elements = (s: readonly Dim[]): number => s.reduce<number>((a, d) => a * capacity(d), 1)

/** Row-major strides in elements. Length dimensions count with their capacity, so a layout never depends on a run's values. */
export function rowMajor(shape: readonly Dim[]): number[] {
  const strides = new Array<number>(shape.length)
  let step = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step
    step *= capacity(shape[i])
  }
  return strides
}

/** NumPy broadcasting, right-aligned; a Length broadcasts against 1 and matches only itself. */
export function broadcast(...shapes: (readonly Dim[])[]): Dim[] {
  const rank = Math.max(0, ...shapes.map(s => s.length))
  return Array.from({ length: rank }, (_, i) => {
    let out: Dim = 1
    for (const s of shapes) {
      const d = s[i - rank + s.length]
      if (d === undefined || d === 1 || d === out) continue
      if (out !== 1)
        throw new AttuneError('ERR_SHAPE', `shapes ${shapes.map(showShape).join(' and ')} do not broadcast at axis ${i}`, {
          shapes: shapes.map(showShape),
          axis: i,
        })
      out = d
    }
    return out
  })
}

/** Normalises a possibly negative axis. */
export function axisOf(axis: number, rank: number): number {
  const a = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(a) || a < 0 || a >= rank)
    throw new AttuneError('ERR_SHAPE', `axis ${axis} is outside a tensor of rank ${rank}`, { axis, rank })
  return a
}

/** Values of the Lengths of one run. */
export type LengthValues = ReadonlyMap<Length, number>
export const resolve = (d: Dim, values: LengthValues): number => {
  if (typeof d === 'number') return d
  const v = values.get(d)
  if (v === undefined || v < 0 || v > d.max)
    throw new AttuneError('ERR_SHAPE', `length '${d.name}' is ${v}, capacity ${d.max}`, { length: d.name, value: v, max: d.max })
  return v
}
