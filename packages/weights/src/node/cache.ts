import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Folder } from '../folder.ts'
import { isObject } from '../json.ts'
import { fileSource } from './file.ts'
import type { HubRef } from './hub.ts'

/** Where models are kept: `ATTUNE_CACHE`, else attune/ in `XDG_CACHE_HOME` or ~/.cache. */
export const cacheRoot = (path?: string): string =>
  path ?? (process.env.ATTUNE_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'attune'))

const MANIFEST = 'attune.json'

/** Folder of one commit of a model. */
export const commitPath = (root: string, ref: HubRef, commit: string): string => join(modelPath(root, ref), commit)
const modelPath = (root: string, { id }: HubRef): string => join(root, 'hub', id.replace('/', '--'))
const refPath = (root: string, ref: HubRef): string =>
  join(modelPath(root, ref), 'refs', encodeURIComponent(ref.file ? `${ref.revision}:${ref.file}` : ref.revision))

/** Says that these files are all there, and that `ref` means this commit. Written last, so that a broken download is never taken for a model. */
export async function markComplete(
  root: string,
  ref: HubRef,
  commit: string,
  files: readonly { name: string; size: number }[],
): Promise<void> {
  const path = commitPath(root, ref, commit)
  await replaceFile(
    join(path, MANIFEST),
    JSON.stringify({ files: [...((await manifest(path)) ?? []).filter(f => !files.some(g => g.name === f.name)), ...files] }),
  )
  await mkdir(join(modelPath(root, ref), 'refs'), { recursive: true })
  await replaceFile(refPath(root, ref), commit)
}

/** A model that was downloaded whole, if its files still have their sizes. */
export async function cached(root: string, ref: HubRef): Promise<Folder | undefined> {
  const commit = (await readFile(refPath(root, ref), 'utf8').catch(() => '')).trim()
  if (!/^[0-9a-f]{7,64}$/.test(commit)) return undefined
  const path = commitPath(root, ref, commit)
  const files = await manifest(path)
  return files && folderAt(ref.id, path, files)
}

/** A folder of files known by name and size; nothing when one is missing or has another size. */
export async function folderAt(name: string, path: string, files: readonly { name: string; size: number }[]): Promise<Folder | undefined> {
  for (const file of files) if ((await stat(join(path, file.name)).catch(() => undefined))?.size !== file.size) return undefined
  return { name, files, open: file => fileSource(join(path, file), file) }
}

async function manifest(path: string): Promise<{ name: string; size: number }[] | undefined> {
  const text = await readFile(join(path, MANIFEST), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const { files } = JSON.parse(text)
    return Array.isArray(files) && files.every(f => isObject(f) && typeof f.name === 'string' && typeof f.size === 'number')
      ? files
      : undefined
  } catch {
    return undefined
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const beside = `${path}.${process.pid}.part`
  await writeFile(beside, text)
  await rename(beside, path)
}
