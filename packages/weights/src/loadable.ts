import type { TensorEntry } from './checkpoint.ts'
import { decode, encode, fileBytes } from './dtypes.ts'
import { type FileCodec, isFileCodec } from './gguf/codecs/index.ts'

const PIECE = 1 << 20 // values decoded at a time

/**
 * A tensor as weights are held once loaded: where no kernel reads the file's packed format, its rows become the format's `loadsAs` a few at a
 * time while they are read. Vectors are left as they are.
 */
export function loadable(entry: TensorEntry): TensorEntry {
  const { dtype: codec, shape } = entry
  if (!isFileCodec(codec) || shape.length < 2) return entry
  const dtype = codec.loadsAs
  const [rows] = shape
  const width = shape.slice(1).reduce((n, d) => n * d, 1)
  const rowBytes = fileBytes(dtype, width)
  const step = Math.max(1, Math.floor(PIECE / Math.max(1, width)))
  const fill = async (from: number, to: number, target: Uint8Array, signal?: AbortSignal) => {
    for (let row = from; row < to; row += step) {
      const end = Math.min(to, row + step)
      recode(
        codec,
        await entry.readRows(row, end, signal),
        target.subarray((row - from) * rowBytes, (end - from) * rowBytes),
        width * (end - row),
      )
    }
  }
  const readRows: TensorEntry['readRows'] = async (from, to, signal) => {
    const out = new Uint8Array((to - from) * rowBytes)
    await fill(from, to, out, signal)
    return out
  }
  return {
    ...entry,
    dtype,
    bytes: rows * rowBytes,
    readInto: (target, signal) => fill(0, rows, target, signal),
    read: signal => readRows(0, rows, signal),
    readRows,
  }
}

function recode(codec: FileCodec, from: Uint8Array, to: Uint8Array, values: number): void {
  if (codec.repack) return codec.repack(from, to)
  const floats = new Float32Array(values)
  decode(codec, from, floats)
  to.set(encode(codec.loadsAs, floats))
}
