import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** SHA-256 of every file in a folder, by name. */
export async function folderHash(path: string): Promise<Record<string, string>> {
  const files = (await readdir(path)).sort()
  const hashes = files.map(
    async name =>
      [
        name,
        createHash('sha256')
          .update(await readFile(join(path, name)))
          .digest('hex'),
      ] as const,
  )
  return Object.fromEntries(await Promise.all(hashes))
}
