import { AttuneError } from '@attune/tensor'
import { checkAbort } from './error.ts'

/** Bytes somewhere (file, memory, Blob, server) that can be read by range. */
export interface ByteSource {
  readonly name: string
  /** Total bytes, known before the first read. */
  readonly size: number
  /** Where it lies, if it is a file of this machine. */
  readonly path?: string
  /** Fills `target` with the bytes at `offset`. Errors: `ERR_ARGUMENT` outside the source, `ERR_ABORTED`, `ERR_FORMAT` when bytes are missing. */
  readInto(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void>
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>
  /** The same bytes as they come, where every read costs a request. */
  arriving?(offset: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** Builds a `ByteSource` from its one primitive; ranges are checked here, once for all kinds of source. */
export function byteSource(
  name: string,
  size: number,
  fill: ByteSource['readInto'],
  close: () => Promise<void> = async () => {},
): ByteSource {
  const readInto: ByteSource['readInto'] = async (offset, target, signal) => {
    checkRange(name, size, offset, target.length)
    checkAbort(signal, `reading ${name}`)
    if (target.length > 0) await fill(offset, target, signal)
  }
  return {
    name,
    size,
    readInto,
    async read(offset, length, signal) {
      checkRange(name, size, offset, length)
      const bytes = new Uint8Array(length)
      await readInto(offset, bytes, signal)
      return bytes
    },
    close,
  }
}

/** Bytes of a source in runs of `memory.length`, the last one shorter, in one and the same memory. */
export async function* runsOf(
  source: ByteSource,
  offset: number,
  length: number,
  memory: Uint8Array,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (!source.arriving) {
    for (let at = 0; at < length; at += memory.length) {
      const run = memory.subarray(0, Math.min(memory.length, length - at))
      await source.readInto(offset + at, run, signal)
      yield run
    }
    return
  }
  let filled = 0
  for await (let piece of source.arriving(offset, length, signal)) {
    while (piece.length > 0) {
      const part = piece.subarray(0, memory.length - filled)
      memory.set(part, filled)
      filled += part.length
      piece = piece.subarray(part.length)
      if (filled < memory.length) continue
      yield memory
      filled = 0
    }
  }
  if (filled > 0) yield memory.subarray(0, filled)
}

/** Bytes already in memory. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return byteSource(name, bytes.length, async (offset, target) => target.set(bytes.subarray(offset, offset + target.length)))
}

/** A Blob or a File the user picked in a page: nothing is loaded until it is read. */
export function blobSource(name: string, blob: Blob): ByteSource {
  return byteSource(name, blob.size, async (offset, target) => {
    target.set(new Uint8Array(await blob.slice(offset, offset + target.length).arrayBuffer()))
  })
}

function checkRange(name: string, size: number, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0
  if (!whole || offset + length > size)
    throw new AttuneError('ERR_ARGUMENT', `${name}: bytes ${offset} to ${offset + length} lie outside its ${size} bytes`, {
      file: name,
      offset,
      length,
      size,
    })
}
