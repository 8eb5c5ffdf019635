import { basename } from 'node:path'
import type { Model } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import { type Checkpoint, openCheckpoint } from '@attune/weights'
import { diskFolder, fileFolder } from '@attune/weights/node'
import type { Conversion, ConvertOptions } from '../convert.ts'
import { type ExportOptions, folderType } from '../export.ts'
import { checkForm } from '../folder-form.ts'
import type { Plan } from '../plan.ts'
import type { ConversionRecord } from '../record.ts'
import { convertKept, exportKept, exportKeptGguf, type KeptConversion } from '../resumable.ts'
import type { WorkFolder } from '../work-folder.ts'
import { diskWork, isGguf } from './disk-work.ts'
import { checkTarget } from './export-folder.ts'

/** As `ConvertOptions`, and how the folder and its journal are kept. */
export interface ConvertFolderOptions extends Omit<ConvertOptions, 'spill' | 'onProgress'> {
  /** Of the result, as for `exportModel`. */
  readonly write?: Omit<ExportOptions, 'conversion' | 'calibration' | 'signal'>
  /** `auto` (default) goes on with an unfinished conversion that is the same and refuses another, `resume` insists that there is one, `restart` throws it away. */
  readonly unfinished?: 'auto' | 'resume' | 'restart'
  /** Whether the files are read back and compared with the source on `heldOut` (default true): layers' errors, KL and perplexity. */
  readonly measure?: boolean
  /** Makes another conversion out of the one that was kept, such as one of fewer layers. */
  readonly choose?: (kept: KeptConversion) => Promise<Conversion>
  /** Where the work lies instead of beside the target. */
  readonly work?: WorkFolder
  onProgress?: ConvertOptions['onProgress']
  /** The comparison is at this layer. */
  onMeasure?(layer: number): void
  /** Called once when an earlier run's work is taken up. */
  onResume?(event: { readonly layers: number; readonly folder: string }): void
}

export interface ConvertedFolder {
  readonly record: ConversionRecord
  readonly report: Conversion['report']
}

/**
 * Converts a model and writes the result as a Hugging Face folder at `path`, or as one file if that ends with `.gguf`, layer by layer: what is finished lies in `path.partial` until
 * the whole is there, so a run that was killed, aborted or out of space is taken up where it was by calling this again, and ends with the
 * same bytes. One layer, one window of tokens and one Gram matrix are in memory. Errors: those of `convert` and `exportFolder`;
 * `ERR_CONVERSION` for an unfinished conversion that differs, naming in what; `ERR_WRITE`.
 */
export async function convertFolder(
  model: Model,
  plan: Plan,
  path: string,
  source: Checkpoint,
  options: ConvertFolderOptions = {},
): Promise<ConvertedFolder> {
  const { write = {}, unfinished = 'auto', choose, onResume, calibration, heldOut, device, measure = true } = options
  const { signal, work = diskWork(path) } = options
  if (!isGguf(path)) folderType(write.dtype)
  if (unfinished === 'restart') await work.clear()
  const there = (await work.journal()).length > 0
  if (unfinished === 'resume' && !there)
    throw new AttuneError('ERR_ARGUMENT', `there is no unfinished conversion in ${work.name}`, { folder: work.name })
  if (!there) await checkTarget(path)
  if (!choose) await checkForm(model, plan, source)
  try {
    const kept = await convertKept(work, model, plan, source, options)
    if (there) onResume?.({ layers: kept.resumed, folder: work.name })
    const [last, isFile] = isGguf(path) ? [basename(path), true] : ['conversion.json', false]
    if (kept.journal.complete && (await work.hash(last, 'result')) === undefined) {
      await work.result.commit() // it was ended between the last rename and tidying up
      return { record: await recordAt(path), report: kept.report }
    }
    await checkTarget(path)
    const conversion = choose ? await choose(kept) : kept
    const calibrated = conversion.report.calibrationTokens > 0 ? calibration : undefined
    const settings = {
      ...write,
      conversion,
      calibration: calibrated,
      measuring:
        measure && device && heldOut ? { source: model, device, heldOut, window: options.window, onLayer: options.onMeasure } : undefined,
      signal,
    }
    const record = isFile
      ? await exportKeptGguf(kept.journal, last, conversion.model, source, settings)
      : await exportKept(kept.journal, conversion.model, source, settings)
    return { record, report: conversion.report }
  } catch (error) {
    await work.result.discard().catch(() => {})
    // Nothing but the name of the conversion was kept: there is nothing to go on from.
    const lines = there ? undefined : await work.journal().catch(() => undefined)
    if (lines && lines.length <= 1) await work.clear().catch(() => {})
    throw error
  }
}

async function recordAt(path: string): Promise<ConversionRecord> {
  const checkpoint = await openCheckpoint(await (isGguf(path) ? fileFolder(path) : diskFolder(path)))
  await checkpoint.close()
  return checkpoint.conversion as unknown as ConversionRecord
}
