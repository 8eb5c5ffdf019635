import { readdir, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Model } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import { type ExportOptions, exportTo } from '../export.ts'
import type { ConversionRecord } from '../record.ts'
import { diskWork, isGguf } from './disk-work.ts'

/**
 * Writes a Hugging Face folder at `path`. The folder may be new, empty, or an earlier export, which is replaced; anything else is
 * refused with `ERR_ARGUMENT`. It appears whole, by a rename; when writing fails or is aborted, what was there before is there still.
 */
export async function exportFolder(model: Model, path: string, source: Checkpoint, options: ExportOptions = {}): Promise<ConversionRecord> {
  await checkTarget(path)
  const work = diskWork(path, `${resolve(path)}.writing`)
  await work.clear()
  try {
    return await exportTo(work.result, model, source, options, { hash: file => work.hash(file, 'result') })
  } catch (error) {
    await work.clear().catch(() => {})
    throw error
  }
}

/** Refuses a folder that holds something else than an earlier export, and a file that is there. Errors: `ERR_ARGUMENT`. */
export async function checkTarget(path: string): Promise<void> {
  const there = await stat(path).catch(() => undefined)
  if (!there) return
  if (isGguf(path)) throw new AttuneError('ERR_ARGUMENT', `${path} is there already; name another file`, { path })
  if (!there.isDirectory()) throw new AttuneError('ERR_ARGUMENT', `${path} is not a folder; name another one`, { path })
  const files = await readdir(path)
  if (files.length > 0 && !files.includes('conversion.json'))
    throw new AttuneError('ERR_ARGUMENT', `${path} is not empty and holds no earlier export; name another folder`, { path })
}
