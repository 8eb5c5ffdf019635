import { AttuneError } from '@attune/tensor'
import { blockOf, decode, type FileStorage, fileBytes } from '../dtypes.ts'

/** A tensor row-major in memory, packed along the last axis where its dtype packs. */
export interface Value {
  readonly dtype: FileStorage
  readonly shape: readonly number[]
  /** Made when first asked for, so that dtypes and shapes can be followed through steps without any bytes. */
  readonly bytes: Uint8Array
}

export function value(dtype: FileStorage, shape: readonly number[], make: () => Uint8Array): Value {
  let made: Uint8Array | undefined
  return {
    dtype,
    shape,
    get bytes() {
      return (made ??= make())
    },
  }
}

let fresh = (bytes: number): Uint8Array<ArrayBuffer> => new Uint8Array(bytes)

/** A value's bytes, and those it is made from, in memory that `take` gives; it may hold anything before. */
export function bytesIn(take: typeof fresh, of: Value): Uint8Array {
  const before = fresh
  fresh = take
  try {
    return of.bytes
  } finally {
    fresh = before
  }
}

/** Stands for a tensor whose bytes are not there yet. */
export const hollow = (dtype: FileStorage, shape: readonly number[]): Value =>
  value(dtype, shape, () => {
    throw new AttuneError('ERR_ARGUMENT', `the bytes of a hollow [${shape}] were asked for`, { shape })
  })

export const count = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)
const sum = (sizes: readonly number[]): number => sizes.reduce((a, b) => a + b, 0)
const blockSize = (v: Value): number => blockOf(v.dtype).block

/** Same bytes under another shape. Errors: `ERR_SHAPE` when the number of values differs. */
export function reshaped(from: Value, shape: readonly number[]): Value {
  if (count(shape) !== count(from.shape))
    throw new AttuneError('ERR_SHAPE', `[${from.shape}] cannot be seen as [${shape}]`, { from: from.shape, to: shape })
  return value(from.dtype, shape, () => from.bytes)
}

/** The value as f32 where it was packed, itself otherwise. */
export function unpacked(from: Value): Value {
  if (typeof from.dtype !== 'object') return from
  return value('f32', from.shape, () => {
    const out = fresh(4 * count(from.shape))
    decode(from.dtype, from.bytes, new Float32Array(out.buffer, out.byteOffset, out.length / 4))
    return out
  })
}

/** Cuts an axis into parts of the given sizes. Packed values stay packed where every part is whole blocks, else they become f32. */
export function cut(from: Value, axis: number, sizes: readonly number[]): Value[] {
  const { shape, dtype } = from
  if (sum(sizes) !== shape[axis])
    throw new AttuneError('ERR_SHAPE', `axis ${axis} of [${shape}] cannot be cut into ${sizes.join(' + ')}`, { shape, axis, sizes })
  const inner = count(shape.slice(axis + 1))
  if (sizes.some(size => (size * inner) % blockSize(from) !== 0)) return cut(unpacked(from), axis, sizes)
  const outer = count(shape.slice(0, axis))
  const spans = sizes.map(size => fileBytes(dtype, size * inner))
  const stride = sum(spans)
  return sizes.map((size, i) =>
    value(dtype, shape.with(axis, size), () => {
      const at = sum(spans.slice(0, i))
      if (outer === 1) return from.bytes.subarray(at, at + spans[i])
      const bytes = fresh(outer * spans[i])
      for (let o = 0; o < outer; o++) bytes.set(from.bytes.subarray(o * stride + at, o * stride + at + spans[i]), o * spans[i])
      return bytes
    }),
  )
}

/** Joins parts along an axis; `cut` undoes it. Packed parts stay packed where all are whole blocks of one codec, else they become f32. */
export function joined(parts: readonly Value[], axis: number): Value {
  const [first] = parts
  for (const { shape } of parts)
    if (shape.length !== first.shape.length || shape.some((d, i) => i !== axis && d !== first.shape[i]))
      throw new AttuneError('ERR_SHAPE', `[${first.shape}] and [${shape}] cannot be joined along axis ${axis}`, {
        axis,
        shapes: parts.map(v => v.shape),
      })
  const inner = count(first.shape.slice(axis + 1))
  const alike = parts.every(v => v.dtype === first.dtype && (v.shape[axis] * inner) % blockSize(v) === 0)
  if (!alike && parts.some(v => typeof v.dtype === 'object')) return joined(parts.map(unpacked), axis)
  if (!alike) throw new AttuneError('ERR_DTYPE', 'parts of different dtypes cannot be joined', { dtypes: parts.map(v => v.dtype) })
  const sizes = parts.map(v => v.shape[axis])
  return value(first.dtype, first.shape.with(axis, sum(sizes)), () => {
    const outer = count(first.shape.slice(0, axis))
    const spans = sizes.map(size => fileBytes(first.dtype, size * inner))
    const stride = sum(spans)
    const bytes = fresh(outer * stride)
    let at = 0
    parts.forEach((part, i) => {
      for (let o = 0; o < outer; o++) bytes.set(part.bytes.subarray(o * spans[i], (o + 1) * spans[i]), o * stride + at)
      at += spans[i]
    })
    return bytes
  })
}

/** Rows of the first axis in another order: row r of the result is row `order(r)`. Rows are whole blocks, so packed values stay packed. */
export function gathered(from: Value, order: (row: number) => number): Value {
  if (from.shape.length < 2 && typeof from.dtype === 'object') return gathered(unpacked(from), order)
  return value(from.dtype, from.shape, () => {
    const [rows] = from.shape
    const span = from.bytes.length / rows
    const bytes = fresh(from.bytes.length)
    for (let r = 0; r < rows; r++) {
      const at = order(r) * span
      bytes.set(from.bytes.subarray(at, at + span), r * span)
    }
    return bytes
  })
}

/** The last two axes swapped: a matrix, or each of many, turned on its side. Packed values become f32. */
export function transposed(matrices: Value): Value {
  const from = unpacked(matrices)
  if (from.shape.length < 2)
    throw new AttuneError('ERR_SHAPE', `only a matrix can be transposed, not [${from.shape}]`, { shape: from.shape })
  const [rows, columns] = from.shape.slice(-2)
  return value(from.dtype, [...from.shape.slice(0, -2), columns, rows], () => {
    const { bytes: size } = blockOf(from.dtype)
    const out = fresh(from.bytes.length)
    const source = from.bytes.byteOffset % size === 0 ? from.bytes : from.bytes.slice()
    const src = new WORDS[size](source.buffer, source.byteOffset, count(from.shape))
    const dst = new WORDS[size](out.buffer, out.byteOffset, count(from.shape))
    for (let first = 0; first < count(from.shape); first += rows * columns)
      for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) dst[first + c * rows + r] = src[first + r * columns + c]
    return out
  })
}

/** Words of a size, moved without looking at what they mean. */
const WORDS: Readonly<Record<number, new (buffer: ArrayBufferLike, at?: number, length?: number) => Record<number, number>>> = {
  1: Uint8Array,
  2: Uint16Array,
  4: Uint32Array,
  8: Float64Array,
}
