import { AttuneError } from '@attune/tensor'
import { checkAbort } from './error.ts'

/** Bytes somewhere (file, memory, Blob, server) that can be read by range. */
export interface ByteSource {
  readonly name: string
  /** Total bytes, known before the first read. */
  readonly size: number
  /** Fills `target` with the bytes at `offset`. Errors: `ERR_ARGUMENT` outside the source, `ERR_ABORTED`, `ERR_FORMAT` when bytes are missing. */
  readInto(offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void>
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>
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
