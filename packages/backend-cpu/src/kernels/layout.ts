import { capacity, type Dim, isCodec, type Param, rowMajor, type Storage, storageName, type ViewType } from '@attune/tensor'

/** Number of an element type in the kernels (`Type` in native/element.h), or −1 for a codec they do not know. */
export const typeCode = (t: Storage): number => TYPES.indexOf(storageName(t))
const TYPES = ['f32', 'f16', 'bf16', 'i32', 'u8', 'bool', 'q8_0', 'q4_0', 'q4_1']

/** The most axes a kernel walks after collapsing. */
export const MAX_RANK = 8

/** Axes of a walk, outermost first, at least one; neighbours that every operand steps through evenly are one axis. */
export interface Axes {
  readonly dims: readonly Param[]
  /** Per operand, elements between neighbours along each axis. */
  readonly strides: readonly (readonly number[])[]
  /** Which axis of `dims` an original axis of `kept` became. */
  readonly axisOf: ReadonlyMap<number, number>
}

/** Joins axes where it changes nothing, drops those of extent 1. Axes in `kept` stay apart. */
export function collapse(shape: readonly Dim[], strides: readonly (readonly number[])[], kept: ReadonlySet<number> = new Set()): Axes {
  const groups: { dims: Dim[]; inner: number; strides: number[]; kept: boolean; from: number }[] = []
  for (let a = shape.length - 1; a >= 0; a--) {
    const d = shape[a]
    const last = groups[0]
    if (d === 1 && !kept.has(a)) continue
    // A Length may only be the outermost part of an axis: what lies inside it follows capacities, not its value.
    const joins =
      last &&
      !last.kept &&
      !kept.has(a) &&
      last.dims.every(x => typeof x === 'number') &&
      strides.every((s, i) => s[a] === last.strides[i] * last.inner)
    if (joins) {
      last.dims.unshift(d)
      last.inner *= capacity(d)
    } else groups.unshift({ dims: [d], inner: capacity(d), strides: strides.map(s => s[a]), kept: kept.has(a), from: a })
  }
  if (groups.length === 0) groups.push({ dims: [1], inner: 1, strides: strides.map(() => 1), kept: false, from: -1 })
  return {
    dims: groups.map(g => times(...g.dims)),
    strides: strides.map((_, i) => groups.map(g => g.strides[i])),
    axisOf: new Map(groups.flatMap((g, i) => (g.kept ? [[g.from, i] as const] : []))),
  }
}

/** The product of dimensions as one parameter. */
export function times(...dims: readonly Dim[]): Param {
  const fixed = dims.reduce<number>((t, d) => (typeof d === 'number' ? t * d : t), 1)
  const lengths = dims.filter(d => typeof d !== 'number')
  if (lengths.length === 0) return fixed
  return fixed === 1 && lengths.length === 1 ? lengths[0] : { product: [fixed, ...lengths] }
}

/** Strides of an operand broadcast to `shape`, right-aligned. */
export function broadcastStrides({ shape, strides }: ViewType, to: readonly Dim[]): number[] {
  const pad = to.length - shape.length
  return to.map((d, a) => (a < pad || (shape[a - pad] === 1 && d !== 1) ? 0 : strides[a - pad]))
}

export const denseView = (shape: readonly Dim[]): number[] => rowMajor(shape)

/** Rows along the last axis: how many, where they start (collapsed outer axes), how wide they are. */
export function rows(shape: readonly Dim[], ...strides: (readonly number[])[]): Axes {
  return collapse(
    shape.slice(0, -1),
    strides.map(s => s.slice(0, -1)),
  )
}

/** The reason why an operand cannot be walked along its last axis one element at a time, or undefined. */
export const whyLastAxis = (name: string, { shape, strides }: ViewType): string | undefined =>
  shape.length > 0 && capacity(shape.at(-1)!) !== 1 && strides.at(-1) !== 1
    ? `${name} steps ${strides.at(-1)} elements along its last axis; the kernel reads it densely`
    : undefined

/** The reason why an operand's type is not one of `allowed`, or undefined. */
export const whyType = (name: string, { dtype }: { dtype: Storage }, ...allowed: string[]): string | undefined =>
  allowed.includes(storageName(dtype)) ? undefined : `${name} is ${storageName(dtype)}; the kernel takes ${allowed.join(', ')}`

/** The reason why strides do not fit the kernels' 32-bit layout tables or rank, or undefined. */
export function whyAxes(name: string, { dims, strides }: Axes, most = MAX_RANK): string | undefined {
  if (dims.length > most) return `${name} has ${dims.length} separate axes; the kernel walks ${most}`
  return strides.some(s => s.some(x => Math.abs(x) > 2 ** 31 - 1)) ? `${name} has a stride beyond 2^31 elements` : undefined
}

/** The reason why a packed operand's rows are not whole blocks one after another, or undefined. */
export function whyPacked(name: string, { dtype, shape, strides }: ViewType): string | undefined {
  if (!isCodec(dtype)) return undefined
  if (typeCode(dtype) < 0) return `${name} is packed as ${dtype.name}; the kernel decodes ${TYPES.slice(6).join(', ')}`
  if (strides.at(-1) !== 1 || capacity(shape.at(-1)!) % dtype.block !== 0 || strides.slice(0, -1).some(s => s % dtype.block !== 0))
    return `${name} is a view that cuts blocks of ${dtype.name}`
  return undefined
}

export const FLOATS = ['f32', 'f16', 'bf16'] as const
/** The first reason that is there. */
export const first = (...reasons: (string | undefined)[]): string | undefined => reasons.find(r => r !== undefined)
