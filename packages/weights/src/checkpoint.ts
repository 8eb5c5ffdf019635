import type { FilePlace } from '@attune/tensor'
import { blockOf, decode, type FileStorage, fileBytes } from './dtypes.ts'
import { checkAbort } from './error.ts'
import { type ByteSource, runsOf } from './source.ts'

/** A tensor in a file. Nothing of it is in memory until it is read. */
export interface TensorEntry {
  /** Name as Hugging Face files have it, whatever the format. */
  readonly name: string
  readonly dtype: FileStorage
  readonly shape: readonly number[]
  /** Bytes it takes in the file; a packed dtype is left packed. */
  readonly bytes: number
  readonly file: string
  /** Where its bytes start in the file; rows may be read in another order (GGUF's rope order), so use the reads below. */
  readonly byteOffset: number
  /** The bytes of `read()` in a file of this machine, where they lie there as they are. */
  readonly place?: FilePlace
  read(signal?: AbortSignal): Promise<Uint8Array>
  /** Reads straight into memory the caller owns (a WASM heap, say); `target.length` = `bytes`. */
  readInto(target: Uint8Array, signal?: AbortSignal): Promise<void>
  /** Rows [from, to) of the first axis, as they would lie in `read()`. */
  readRows(from: number, to: number, signal?: AbortSignal): Promise<Uint8Array>
  /** All bytes in order, a few MiB at a time in the same memory: a piece is gone when the next is asked for. */
  pieces(signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/** A model's files, opened: headers are read, tensors are not. */
export interface Checkpoint {
  readonly name: string
  readonly format: 'safetensors' | 'gguf'
  /** config.json, or its equal made from a GGUF's metadata. */
  readonly config: Readonly<Record<string, unknown>>
  readonly tensors: ReadonlyMap<string, TensorEntry>
  readonly tokenizerJson?: Readonly<Record<string, unknown>>
  readonly tokenizerConfig?: Readonly<Record<string, unknown>>
  readonly generationConfig?: Readonly<Record<string, unknown>>
  /** Jinja source. */
  readonly chatTemplate?: string
  /** conversion.json, which says how the model was converted and what its layers really are. */
  readonly conversion?: Readonly<Record<string, unknown>>
  /** Texts of the files by which sentence encoders say how to pool (see `sentenceSettings`). */
  readonly sentence?: Readonly<Record<string, string | undefined>>
  readonly files: readonly { readonly name: string; readonly size: number }[]
  /** Small JSON files as they are written, by name: 1.0 and 1 are one number, but not to every reader. */
  readonly texts?: Readonly<Record<string, string>>
  close(): Promise<void>
}

/** The rows of `source` from `byteOffset` on, as a tensor. `order` maps a row to the row of the file that holds it, inside groups of `group` rows. */
export function tensorEntry(
  source: ByteSource,
  at: { name: string; dtype: FileStorage; shape: readonly number[]; byteOffset: number },
  order?: { group: number; of(row: number): number },
): TensorEntry {
  const elements = at.shape.reduce((n, d) => n * d, 1)
  const bytes = fileBytes(at.dtype, elements)
  const rows = at.shape[0] ?? 1
  const rowBytes = rows === 0 ? 0 : bytes / rows
  /** Whole groups from row `first` on, put in order. */
  const ordered = (raw: Uint8Array, first: number, target: Uint8Array, { of }: NonNullable<typeof order>): Uint8Array => {
    for (let row = 0; row * rowBytes < raw.length; row++) {
      const held = of(first + row) - first
      target.set(raw.subarray(held * rowBytes, (held + 1) * rowBytes), row * rowBytes)
    }
    return target.subarray(0, raw.length)
  }
  const readRows = async (from: number, to: number, target: Uint8Array, signal?: AbortSignal) => {
    if (!order) return source.readInto(at.byteOffset + from * rowBytes, target, signal)
    const first = from - (from % order.group)
    const groups = Math.ceil((to - first) / order.group) * order.group
    const raw = await source.read(at.byteOffset + first * rowBytes, groups * rowBytes, signal)
    target.set(ordered(raw, first, new Uint8Array(raw.length), order).subarray((from - first) * rowBytes, (to - first) * rowBytes))
  }
  return {
    ...at,
    bytes,
    file: source.name,
    ...(source.path !== undefined && !order ? { place: { path: source.path, offset: at.byteOffset, bytes } } : {}),
    readInto: (target, signal) => readRows(0, rows, target, signal),
    async read(signal) {
      const out = new Uint8Array(bytes)
      await readRows(0, rows, out, signal)
      return out
    },
    async readRows(from, to, signal) {
      const out = new Uint8Array((to - from) * rowBytes)
      await readRows(from, to, out, signal)
      return out
    },
    async *pieces(signal) {
      const unit = order ? order.group * rowBytes : 1 // what is put in order is read in whole groups
      const runs = borrow(bytes === 0 ? 0 : unit * Math.max(1, Math.floor(PIECE / unit)))
      const inOrder = borrow(order ? runs.length : 0)
      let row = 0
      try {
        for await (const run of runsOf(source, at.byteOffset, bytes, runs, signal)) {
          yield order ? ordered(run, row, inOrder, order) : run
          row += run.length / rowBytes
        }
      } finally {
        for (const memory of [runs, inOrder]) if (memory.buffer.byteLength === PIECE && idle.length < 4) idle.push(memory.buffer)
      }
    },
  }
}

const PIECE = 1 << 20
/** Memory that tensors were read through, for the next: what is thrown away is collected late. */
const idle: ArrayBuffer[] = []
const borrow = (length: number): Uint8Array<ArrayBuffer> =>
  length > PIECE ? new Uint8Array(length) : new Uint8Array(idle.pop() ?? new ArrayBuffer(PIECE), 0, length)

/** A tensor's values as f32, whole rows in pieces of about `pieceBytes` of f32, in order. */
export async function* floatPieces(
  tensor: TensorEntry,
  options: { pieceBytes?: number; signal?: AbortSignal } = {},
): AsyncGenerator<Float32Array> {
  const { pieceBytes = 4 << 20, signal } = options
  for (const { from, to, elements } of pieces(tensor, pieceBytes))
    yield await decodeRows(tensor, from, to, new Float32Array(elements), signal)
}

/** All of a tensor's values as f32. */
export async function floats(tensor: TensorEntry, signal?: AbortSignal): Promise<Float32Array> {
  const out = new Float32Array(tensor.shape.reduce((n, d) => n * d, 1))
  let at = 0
  for (const { from, to, elements } of pieces(tensor, 4 << 20)) {
    await decodeRows(tensor, from, to, out.subarray(at, at + elements), signal)
    at += elements
  }
  return out
}

async function decodeRows(tensor: TensorEntry, from: number, to: number, out: Float32Array, signal?: AbortSignal): Promise<Float32Array> {
  checkAbort(signal, `reading ${tensor.name}`)
  decode(tensor.dtype, await tensor.readRows(from, to, signal), out)
  return out
}

function* pieces(tensor: TensorEntry, pieceBytes: number): Generator<{ from: number; to: number; elements: number }> {
  const rows = tensor.shape[0] ?? 1
  const width = tensor.shape.slice(1).reduce((n, d) => n * d, 1)
  const { block } = blockOf(tensor.dtype)
  const whole = width % block === 0 ? 1 : block // a packed vector has rows of one value: cut it at whole blocks
  const step = Math.max(1, Math.floor(pieceBytes / (4 * Math.max(1, width) * whole))) * whole
  for (let from = 0; from < rows && width > 0; from += step) {
    const to = Math.min(rows, from + step)
    yield { from, to, elements: (to - from) * width }
  }
}
