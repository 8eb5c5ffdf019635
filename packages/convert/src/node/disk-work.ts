import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, truncate } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { OutputFile } from '@attune/weights'
import { diskFolder, fileSource } from '@attune/weights/node'
import type { WorkFolder } from '../work-folder.ts'
import { fileStream, type StreamState } from './file-stream.ts'
import { hashFile } from './hash-file.ts'

/** Weights of an earlier export, which would be read along with the new ones. */
const WEIGHTS = /^model.*\.safetensors(\.index\.json)?$/

/** Whether a target is one file. */
export const isGguf = (target: string): boolean => target.endsWith('.gguf')

/** The folder beside a target in which it is made. */
export const workPath = (target: string): string => `${resolve(target)}.partial`

/**
 * A working folder at `path` for a result at `target`, made when first written to. The result appears under its name by one rename;
 * an earlier one goes aside first and is removed after, but for files that are no part of an export, which move over.
 */
export function diskWork(target: string, path = workPath(target)): WorkFolder {
  const [end, journal, result] = [resolve(target), join(path, 'journal.jsonl'), join(path, 'result')]
  const known = new Map<string, string>()
  const open_ = new Set<FileHandle>()
  const placeOf = (where: 'parts' | 'result') => (where === 'parts' ? path : result)

  const create =
    (where: 'parts' | 'result') =>
    async (file: string): Promise<OutputFile> => {
      const name = join(placeOf(where), file)
      await mkdir(dirname(name), { recursive: true })
      const handle = await open(`${name}.part`, 'w')
      open_.add(handle)
      const hash = createHash('sha256')
      return {
        async write(bytes) {
          for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten
          hash.update(bytes)
        },
        async finish() {
          await handle.sync()
          open_.delete(handle)
          await handle.close()
          await rename(`${name}.part`, name)
          await settle(dirname(name))
          known.set(name, hash.digest('hex'))
        },
      }
    }
  const closeAll = async () => {
    for (const handle of open_) await handle.close()
    open_.clear()
  }

  return {
    name: path,
    async journal() {
      const bytes = await readFile(journal).catch(none)
      if (!bytes) return []
      const whole = bytes.lastIndexOf(10) + 1
      if (whole < bytes.length) await truncate(journal, whole)
      return bytes.toString('utf8', 0, whole).split('\n').slice(0, -1)
    },
    async append(line) {
      await mkdir(path, { recursive: true })
      const file = await open(journal, 'a')
      try {
        await file.write(`${line}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await settle(path)
    },
    parts: { create: create('parts') },
    open: file => fileSource(join(path, file), file),
    async hash(file, where) {
      const name = join(placeOf(where), file)
      if (!known.has(name)) {
        const found = await hashFile(name)
        if (found === undefined) return undefined
        known.set(name, found)
      }
      return known.get(name)
    },
    async stream(state) {
      await mkdir(path, { recursive: true })
      return fileStream(join(path, 'stream'), { keep: true, state: state as StreamState | undefined })
    },
    result: {
      create: create('result'),
      async commit() {
        await closeAll()
        if (isGguf(end)) {
          if (await exists(join(result, basename(end)))) await rename(join(result, basename(end)), end)
          await settle(dirname(end))
        } else if (await exists(result)) {
          if (await exists(end)) await rename(end, await freeName(join(path, 'replaced')))
          await rename(result, end)
          await settle(dirname(end))
        }
        for (const old of await replacedIn(path))
          for (const name of await readdir(old))
            if (!WEIGHTS.test(name) && !(await exists(join(end, name)))) await rename(join(old, name), join(end, name))
        await rm(path, { recursive: true, force: true })
      },
      discard: closeAll,
    },
    written: () => diskFolder(result),
    async clear() {
      await closeAll()
      known.clear()
      const [old] = await replacedIn(path)
      if (old && !(await exists(end))) await rename(old, end)
      await rm(path, { recursive: true, force: true })
    },
  }
}

const none = (error: NodeJS.ErrnoException): undefined => {
  if (error.code !== 'ENOENT') throw error
}
const exists = async (path: string): Promise<boolean> => (await stat(path).catch(none)) !== undefined

const replacedIn = async (path: string): Promise<string[]> =>
  ((await readdir(path).catch(none)) ?? []).filter(name => name.startsWith('replaced')).map(name => join(path, name))

async function freeName(path: string): Promise<string> {
  for (let i = 0; ; i++) {
    const name = i === 0 ? path : `${path}-${i}`
    if (!(await exists(name))) return name
  }
}

/** Makes new names in a folder durable, where the system can. */
async function settle(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined)
  await folder?.sync().catch(() => {})
  await folder?.close()
}
