import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AttuneError } from '@attune/tensor'
import { checkFileName, type OutputFolder } from '../output.ts'

/** Writes into a folder on disk, made if need be. Files lie beside their final names as `name.partial` until `commit` renames them, in the order made. */
export async function diskOutput(path: string): Promise<OutputFolder> {
  const made = new Map<string, FileHandle | undefined>() // undefined once finished
  const partial = (file: string) => join(path, `${file}.partial`)
  await mkdir(path, { recursive: true })
  return {
    async create(file) {
      checkFileName(file)
      await mkdir(dirname(partial(file)), { recursive: true })
      const handle = await open(partial(file), 'w')
      made.set(file, handle)
      return {
        async write(bytes) {
          for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten
        },
        async finish() {
          await handle.sync() // else a crash may leave the new name with no content
          await handle.close()
          made.set(file, undefined)
        },
      }
    },
    async commit() {
      for (const [file, handle] of made) if (handle) throw new AttuneError('ERR_ARGUMENT', `${file} was not finished`, { file })
      for (const file of made.keys()) await rename(partial(file), join(path, file))
      made.clear()
    },
    async discard() {
      for (const [file, handle] of made) {
        await handle?.close()
        await rm(partial(file), { force: true })
      }
      made.clear()
    },
  }
}
