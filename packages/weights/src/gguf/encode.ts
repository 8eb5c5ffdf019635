import { blockOf, decode, encode, type FileStorage } from '../dtypes.ts'
import { halfSplitRow } from '../layout/steps.ts'
import { gathered, transposed, type Value, value } from '../layout/value.ts'
import type { TensorSource } from '../tensor-source.ts'
import type { Change } from './architecture.ts'

const STEP = 1 << 18 // values at a time

/** A tensor's bytes as `storage`, with what llama.cpp does to its values done: whole where rows move, else a piece at a time. */
export async function* encoded(
  source: TensorSource,
  storage: FileStorage,
  change: Change | undefined,
  signal?: AbortSignal,
  onRounded?: (values: Float32Array, written: Float32Array) => void,
): AsyncGenerator<Uint8Array> {
  // A matrix cannot be turned in blocks.
  const from = change?.kind === 'transposed' && typeof source.dtype === 'object' ? 'f32' : source.dtype
  const pieces = change?.kind === 'interleaved' || change?.kind === 'transposed' ? moved(source, change, signal) : source.pieces(signal)
  const by = change?.kind === 'shifted' ? change.by : 0
  if (by === 0 && from === storage) return yield* pieces
  for await (const values of valuesOf(pieces, from)) {
    if (by !== 0) for (let i = 0; i < values.length; i++) values[i] += by
    const bytes = encode(storage, values)
    if (onRounded && storage !== 'f32') {
      const written = new Float32Array(values.length)
      decode(storage, bytes, written)
      onRounded(values, written)
    }
    yield bytes
  }
}

async function* moved(source: TensorSource, change: Change, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const bytes = await whole(source, signal)
  const all: Value = value(source.dtype, source.shape, () => bytes)
  yield change.kind === 'interleaved' ? gathered(all, row => halfSplitRow(row, change.head)).bytes : transposed(all).bytes
}

async function whole(source: TensorSource, signal?: AbortSignal): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of source.pieces(signal)) pieces.push(piece.slice())
  const out = new Uint8Array(pieces.reduce((n, p) => n + p.length, 0))
  let at = 0
  for (const piece of pieces) {
    out.set(piece, at)
    at += piece.length
  }
  return out
}

/** Values in runs of whole blocks: pieces may end anywhere. */
async function* valuesOf(pieces: AsyncIterable<Uint8Array>, dtype: FileStorage): AsyncGenerator<Float32Array> {
  const { block, bytes: size } = blockOf(dtype)
  const held = new Uint8Array((STEP / block) * size)
  let filled = 0
  const take = () => {
    const values = new Float32Array((filled / size) * block)
    decode(dtype, held.subarray(0, filled), values)
    filled = 0
    return values
  }
  for await (const piece of pieces)
    for (let at = 0; at < piece.length; ) {
      const n = Math.min(piece.length - at, held.length - filled)
      held.set(piece.subarray(at, at + n), filled)
      at += n
      filled += n
      if (filled === held.length) yield take()
    }
  if (filled > 0) yield take()
}
