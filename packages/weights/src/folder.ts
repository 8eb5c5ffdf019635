import { AttuneError } from '@attune/tensor'
import type { ByteSource } from './source.ts'

/** A model's files, wherever they are. */
export interface Folder {
  readonly name: string
  /** File names, relative, with `/`. */
  readonly files: readonly { readonly name: string; readonly size: number }[]
  open(file: string, signal?: AbortSignal): Promise<ByteSource>
}

/** Files that are already sources: a page's picked files, a single GGUF, a test. */
export function folderOf(name: string, sources: readonly ByteSource[]): Folder {
  return {
    name,
    files: sources.map(({ name, size }) => ({ name, size })),
    async open(file) {
      const source = sources.find(s => s.name === file)
      if (!source) throw new AttuneError('ERR_NOT_FOUND', `${name} has no file ${file}`, { folder: name, file })
      return source
    },
  }
}
