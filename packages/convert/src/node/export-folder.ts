import { readdir, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Model } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import type { Checkpoint, OutputFolder } from '@attune/weights'
import { diskOutput } from '@attune/weights/node'
import { type ConversionRecord, type ExportOptions, exportModel } from '../export.ts'

/**
 * Writes a Hugging Face folder at `path`. The folder may be new, empty, or an earlier export, which is replaced; anything else is
 * refused with `ERR_ARGUMENT`. When writing fails or is aborted, what was there before is there still.
 */
export async function exportFolder(model: Model, path: string, source: Checkpoint, options: ExportOptions = {}): Promise<ConversionRecord> {
  const before = await filesIn(path)
  if (before && before.length > 0 && !before.includes('conversion.json'))
    throw new AttuneError('ERR_ARGUMENT', `${path} is not empty and holds no earlier export; name another folder`, { path })
  const written = new Set<string>()
  try {
    const record = await exportModel(watched(await diskOutput(path), written), model, source, options)
    // Shards of an earlier export under other names would be read along with the new ones.
    for (const old of before ?? []) if (/^model.*\.safetensors(\.index\.json)?$/.test(old) && !written.has(old)) await rm(join(path, old))
    return record
  } catch (error) {
    if (!before) await rmdir(path).catch(() => {})
    throw error
  }
}

async function filesIn(path: string): Promise<string[] | undefined> {
  const there = await stat(path).catch(() => undefined)
  return there && readdir(path)
}

const watched = (out: OutputFolder, written: Set<string>): OutputFolder => ({
  ...out,
  create(file) {
    written.add(file)
    return out.create(file)
  },
})
