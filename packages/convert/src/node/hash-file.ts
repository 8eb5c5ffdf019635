import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'

/** SHA-256 in hex of a file's first `bytes`, all by default; undefined where there is no such file. */
export async function hashFile(file: string, bytes?: number): Promise<string | undefined> {
  if (!(await stat(file).catch(() => undefined))?.isFile()) return undefined
  const hash = createHash('sha256')
  if (bytes !== 0) for await (const piece of createReadStream(file, bytes === undefined ? {} : { end: bytes - 1 })) hash.update(piece)
  return hash.digest('hex')
}
