import type { TensorEntry } from './checkpoint.ts'
import { derived } from './derived.ts'
import { decode, encode } from './dtypes.ts'
import { type FileCodec, isFileCodec } from './gguf/codecs/index.ts'

const PIECE = 1 << 19 // values decoded at a time

/**
 * A tensor as weights are held once loaded: where no kernel reads the file's packed format, its rows become the format's `loadsAs` a few at a
 * time while they are read. Vectors are left as they are.
 */
export function loadable(entry: TensorEntry): TensorEntry {
  const { dtype: codec, shape } = entry
  if (!isFileCodec(codec) || shape.length < 2) return entry
  const width = shape.slice(1).reduce((n, d) => n * d, 1)
  return derived(entry, {
    dtype: codec.loadsAs,
    shape,
    step: Math.max(1, Math.floor(PIECE / Math.max(1, width))),
    fill: async (from, to, target, signal) => recode(codec, await entry.readRows(from, to, signal), target, width * (to - from)),
  })
}

function recode(codec: FileCodec, from: Uint8Array, to: Uint8Array, values: number): void {
  if (codec.repack) return codec.repack(from, to)
  const floats = new Float32Array(values)
  decode(codec, from, floats)
  to.set(encode(codec.loadsAs, floats))
}
