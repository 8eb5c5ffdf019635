import {
  bytesOf,
  type Dense,
  type Dim,
  elements,
  floatToHalf,
  halfToFloat,
  isCodec,
  type LengthValues,
  type Op,
  product,
  resolve,
  rowMajor,
  type Storage,
} from '@attune/tensor'
import type { PlanInput, PlanOutput } from './run-plan.ts'

/** A fixed sequence of pseudo-random numbers in (-1, 1). */
export function noise(count: number, seed: number): Float32Array {
  const out = new Float32Array(count)
  for (let i = 0, s = seed * 2654435761 + 1; i < count; i++) {
    s = (Math.imul(s, 1664525) + 1013904223) | 0
    out[i] = s / 2 ** 31
  }
  return out
}

/** Numbers stored as a type: half types as words, packed types as blocks. `shape` counts Lengths with their capacity. */
export function stored(dtype: Storage, shape: readonly Dim[], values: Float32Array): PlanInput {
  if (dtype === 'f32') return { dtype, shape, data: values }
  if (isCodec(dtype)) {
    const data = new Uint8Array(bytesOf(dtype, elements(shape)))
    dtype.encode!(values, data)
    return { dtype, shape, data }
  }
  return { dtype, shape, data: Uint16Array.from(values, x => (dtype === 'f16' ? floatToHalf(x) : bfloat(x))) }
}

/** What an op's loops see of an input: the view made dense, at this run's lengths, as floats. */
export function dense({ dtype, shape, strides = rowMajor(shape), offset = 0, data }: PlanInput, lengths: LengthValues = new Map()): Dense {
  const all = decoded(dtype, data)
  const extents = shape.map(d => resolve(d, lengths))
  return { dtype, shape: extents, data: all.length ? pick(all, extents, strides, offset) : all }
}

/** The values an op's loops give for the same inputs. */
export function looped(op: Op<any>, inputs: readonly PlanInput[], attrs: unknown, lengths: LengthValues = new Map()): Float32Array {
  const arrays = inputs.map(i => dense(i, lengths))
  const [out] = op.infer(arrays, attrs)
  return op.loops!(arrays, attrs, [{ dtype: out.dtype, shape: out.shape as number[] }])[0] as Float32Array
}

/** The part of an output that this run's lengths reach, dense. Throws when anything outside it lost its poison. */
export function written({ shape, data }: PlanOutput, lengths: LengthValues = new Map()): Float32Array {
  const extents = shape.map(d => resolve(d, lengths))
  const values = data as Float32Array
  const inside = pick(values, extents, rowMajor(shape), 0)
  const left = values.length - values.reduce((n, v) => n + (Number.isNaN(v) ? 1 : 0), 0)
  if (left > inside.length) throw new Error(`${left} values were written, ${inside.length} belong to the run`)
  return inside
}

/** Squared error over squared reference. NaN when a value is missing. */
export function nmse(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let [error, power] = [0, 1e-30]
  for (let i = 0; i < want.length; i++) {
    error += (got[i] - want[i]) ** 2
    power += want[i] ** 2
  }
  return got.length === want.length ? error / power : Number.NaN
}

function pick(all: Float32Array, extents: readonly number[], strides: readonly number[], offset: number): Float32Array {
  const out = new Float32Array(product(extents))
  const index = extents.map(() => 0)
  for (let i = 0; i < out.length; i++) {
    out[i] = all[index.reduce((at, x, axis) => at + x * strides[axis], offset)]
    for (let axis = extents.length - 1; axis >= 0 && ++index[axis] === extents[axis]; axis--) index[axis] = 0
  }
  return out
}

function decoded(dtype: Storage, data: ArrayBufferView): Float32Array {
  if (isCodec(dtype)) {
    const bytes = data as Uint8Array
    const out = new Float32Array((bytes.length / dtype.bytes) * dtype.block)
    dtype.decode(bytes, out)
    return out
  }
  if (dtype === 'f32') return data as Float32Array
  const words = data as Uint16Array
  return Float32Array.from(words, h => (dtype === 'f16' ? halfToFloat(h) : bits(h << 16)))
}

const word = new Uint32Array(1)
const float = new Float32Array(word.buffer)
function bits(u: number): number {
  word[0] = u
  return float[0]
}
function bfloat(x: number): number {
  float[0] = x
  return (word[0] + 0x7fff + ((word[0] >>> 16) & 1)) >>> 16
}
