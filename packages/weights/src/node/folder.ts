import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import { AttuneError } from '@attune/tensor'
import type { Folder } from '../folder.ts'
import { fileSource } from './file.ts'

/** A folder on disk. Symbolic links are followed, sub-folders are listed two levels deep. */
export async function diskFolder(path: string, name = path): Promise<Folder> {
  return { name, files: await list(path, path, 2), open: file => fileSource(join(path, file), file) }
}

/** One weight file on disk with the JSON files beside it. */
export async function fileFolder(path: string): Promise<Folder> {
  const folder = await diskFolder(dirname(path), path)
  const isWeights = /\.(gguf|safetensors|safetensors\.index\.json)$/
  return { ...folder, files: folder.files.filter(f => f.name === basename(path) || !isWeights.test(f.name)) }
}

async function list(root: string, path: string, depth: number): Promise<{ name: string; size: number }[]> {
  const found: { name: string; size: number }[] = []
  let names: string[]
  try {
    names = (await readdir(path)).sort()
  } catch (cause) {
    throw new AttuneError('ERR_NOT_FOUND', `${path} is not a folder that can be read: ${(cause as Error).message}`, { path }, cause)
  }
  for (const entry of names) {
    const full = join(path, entry)
    const info = await stat(full).catch(() => undefined)
    if (info?.isFile()) found.push({ name: relative(root, full).split(sep).join('/'), size: info.size })
    else if (info?.isDirectory() && depth > 1 && !entry.startsWith('.')) found.push(...(await list(root, full, depth - 1)))
  }
  return found
}
