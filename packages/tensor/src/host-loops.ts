import type { Binding, Dense, Launch } from './device.ts'
import { bytesOf, isCodec, itemBytes, type Storage } from './dtype.ts'
import { bf16ToFloat, floatToBf16, floatToHalf, halfToFloat } from './half.ts'
import { alloc } from './primitives/map.ts'
import { type Dim, type LengthValues, product, resolve, rowMajor } from './shape.ts'
import type { Node } from './tensor.ts'

/** A layout over raw bytes. */
export interface Layout {
  readonly dtype: Storage
  readonly shape: readonly Dim[]
  readonly strides: readonly number[]
  readonly offset: number
}

/** A launch that runs a primitive's JS loops over the storages of its inputs and outputs. */
export function loopsLaunch(node: Node, inputs: Binding[], outputs: Binding[]): Launch {
  const op = node.op!
  return {
    text: `loops:${op.name}`,
    op: op.name,
    params: [],
    threadScratch: 0,
    bind: [...inputs, ...outputs],
    loops(read, n) {
      const dense = node.inputs.map((t, i) => readDense(t, read(i), n))
      const types = node.outputs.map(t => ({ dtype: t.dtype, shape: t.shape.map(d => resolve(d, n)) }))
      const made = op.loops!(dense, node.attrs, types)
      made.forEach((data, i) => {
        writeDense(
          {
            ...node.outputs[i],
            dtype: node.outputs[i].dtype,
            shape: node.outputs[i].shape,
            strides: rowMajor(node.outputs[i].shape),
            offset: 0,
          },
          data,
          read(inputs.length + i),
          n,
        )
      })
    },
  }
}

/** The values of a strided view, dense and row-major, with shapes resolved. Packed and half types become f32. */
export function readDense({ dtype, shape, strides, offset }: Layout, bytes: Uint8Array, n: LengthValues): Dense {
  const sizes = shape.map(d => resolve(d, n))
  const data = alloc(isCodec(dtype) ? 'f32' : dtype, product(sizes))
  if (data.length > 0 && !isCodec(dtype) && dtype !== 'f16' && dtype !== 'bf16' && isDense(sizes, strides)) {
    data.set(words(dtype, bytes).subarray(offset, offset + data.length))
    return { dtype, shape: sizes, data }
  }
  const get = reader(dtype, bytes)
  walk(sizes, strides, offset, (at, i) => {
    data[i] = get(at)
  })
  return { dtype, shape: sizes, data }
}

/** Writes dense row-major values into a strided layout. */
export function writeDense({ dtype, shape, strides, offset }: Layout, data: ArrayLike<number>, bytes: Uint8Array, n: LengthValues): void {
  const sizes = shape.map(d => resolve(d, n))
  if (isCodec(dtype)) {
    // Rows are whole blocks and dense: encode row by row.
    const width = sizes.at(-1) ?? 1
    const row = new Float32Array(width)
    walk(sizes.slice(0, -1), strides.slice(0, -1), offset, (at, i) => {
      for (let j = 0; j < width; j++) row[j] = data[i * width + j]
      dtype.encode!(row, bytes.subarray(bytesOf(dtype, at), bytesOf(dtype, at + width)))
    })
    return
  }
  const set = writer(dtype, bytes)
  walk(sizes, strides, offset, (at, i) => set(at, data[i]))
}

/** Whether row-major order is the order in memory. */
function isDense(sizes: readonly number[], strides: readonly number[]): boolean {
  let step = 1
  for (let i = sizes.length - 1; i >= 0; i--) {
    if (sizes[i] > 1 && strides[i] !== step) return false
    step *= sizes[i]
  }
  return true
}

function walk(sizes: readonly number[], strides: readonly number[], offset: number, f: (at: number, i: number) => void): void {
  const index = new Array<number>(sizes.length).fill(0)
  let at = offset
  const total = product(sizes)
  for (let i = 0; i < total; i++) {
    f(at, i)
    for (let a = sizes.length - 1; a >= 0; a--) {
      at += strides[a]
      if (++index[a] < sizes[a]) break
      at -= strides[a] * sizes[a]
      index[a] = 0
    }
  }
}

function reader(dtype: Storage, bytes: Uint8Array): (at: number) => number {
  if (isCodec(dtype)) {
    const block = new Float32Array(dtype.block)
    let have = -1
    return at => {
      const b = Math.floor(at / dtype.block)
      if (b !== have) dtype.decode(bytes.subarray(b * dtype.bytes, (b + 1) * dtype.bytes), block)
      have = b
      return block[at - b * dtype.block]
    }
  }
  const raw = words(dtype, bytes)
  if (dtype === 'f16') return at => halfToFloat(raw[at])
  if (dtype === 'bf16') return at => bf16ToFloat(raw[at])
  return at => raw[at]
}

function writer(dtype: Storage, bytes: Uint8Array): (at: number, x: number) => void {
  const raw = words(dtype, bytes)
  if (dtype === 'f16') return (at, x) => void (raw[at] = floatToHalf(x))
  if (dtype === 'bf16') return (at, x) => void (raw[at] = floatToBf16(x))
  if (dtype === 'bool') return (at, x) => void (raw[at] = x ? 1 : 0)
  return (at, x) => void (raw[at] = x)
}

function words(dtype: Storage, bytes: Uint8Array): Float32Array | Int32Array | Uint16Array | Uint8Array {
  const n = Math.floor(bytes.byteLength / itemBytes(dtype))
  if (dtype === 'f32') return new Float32Array(bytes.buffer, bytes.byteOffset, n)
  if (dtype === 'i32') return new Int32Array(bytes.buffer, bytes.byteOffset, n)
  if (dtype === 'f16' || dtype === 'bf16') return new Uint16Array(bytes.buffer, bytes.byteOffset, n)
  return bytes
}
