import { type FileHandle, open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { AttuneError } from '@attune/tensor'
import { checkAbort, formatError } from '../error.ts'
import { type ByteSource, byteSource } from '../source.ts'

const PIECE = 16 << 20 // so that an abort is seen soon

/** A file on disk, read by position. Errors: `ERR_NOT_FOUND`. */
export async function fileSource(path: string, name = path): Promise<ByteSource> {
  const handle = await openFile(path)
  const stat = await handle.stat()
  if (!stat.isFile()) {
    await handle.close()
    throw new AttuneError('ERR_NOT_FOUND', `${path} is not a file`, { path })
  }
  const source = byteSource(
    name,
    stat.size,
    async (offset, target, signal) => {
      for (let at = 0; at < target.length; ) {
        checkAbort(signal, `reading ${name}`)
        const { bytesRead } = await handle.read(target, at, Math.min(PIECE, target.length - at), offset + at)
        if (bytesRead === 0)
          throw formatError(name, 'file', offset + at, `ends here; it had ${stat.size} bytes when it was opened`, { size: stat.size })
        at += bytesRead
      }
    },
    () => handle.close(),
  )
  return { ...source, path: resolve(path) }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    throw new AttuneError('ERR_NOT_FOUND', `${path} cannot be opened: ${(cause as Error).message}`, { path }, cause)
  }
}
