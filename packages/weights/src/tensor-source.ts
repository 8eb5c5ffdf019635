import { floatPieces, type TensorEntry } from './checkpoint.ts'
import { decode, encode, type FileDType, type FileStorage } from './dtypes.ts'

import { count, unpacked, type Value } from './layout/value.ts'

/** A tensor to be written: what the header says of it, and its bytes in pieces when their turn comes. */
export interface TensorSource {
  readonly name: string
  /** Packed tensors only go into formats that hold such. */
  readonly dtype: FileStorage
  readonly shape: readonly number[]
  pieces(signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/** A tensor of another file, converted a few rows at a time where `dtype` differs; f32 is the default for packed ones. */
export function fromEntry(entry: TensorEntry, options: { name?: string; dtype?: FileStorage } = {}): TensorSource {
  const { name = entry.name, dtype = typeof entry.dtype === 'object' ? 'f32' : entry.dtype } = options
  return {
    name,
    dtype,
    shape: entry.shape,
    async *pieces(signal) {
      if (dtype === entry.dtype) yield* rawPieces(entry, signal)
      else for await (const values of floatPieces(entry, { signal })) yield encode(dtype, values)
    },
  }
}

/** A tensor that is made when its turn comes; `shape` and `dtype` are known before. */
export function fromValue(
  name: string,
  dtype: FileDType,
  shape: readonly number[],
  make: (signal?: AbortSignal) => Value | Promise<Value>,
): TensorSource {
  return {
    name,
    dtype,
    shape,
    async *pieces(signal) {
      const made = unpacked(await make(signal))
      if (made.dtype === dtype) return yield made.bytes
      const values = new Float32Array(count(made.shape))
      decode(made.dtype, made.bytes, values)
      yield encode(dtype, values)
    },
  }
}

const PIECE = 8 << 20

async function* rawPieces(entry: TensorEntry, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const rows = entry.shape[0] ?? 1
  const step = Math.max(1, Math.floor((PIECE * rows) / Math.max(1, entry.bytes)))
  for (let from = 0; from < rows; from += step) yield await entry.readRows(from, Math.min(rows, from + step), signal)
}
