import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Conversion } from '@attune/convert'
import { exportFolder } from '@attune/convert/node'
import type { Checkpoint } from '@attune/weights'
import type { Context } from '../context.ts'
import type { JobResult } from './job.ts'
import { reportPage } from './report.ts'

/** Writes the converted model as a Hugging Face folder, and the report into it. */
export async function exportPlan(
  context: Context,
  {
    result,
    conversion,
    checkpoint,
    calibration,
  }: { result: JobResult; conversion?: Conversion; checkpoint: Checkpoint; calibration: readonly number[] },
): Promise<void> {
  if (!conversion) {
    context.say('There was nothing to convert, so nothing is exported.\n')
    return
  }
  const record = await exportFolder(conversion.model, result.out, checkpoint, {
    conversion,
    calibration,
    signal: context.io.signal,
    onProgress: ({ written, total }) => context.progress.update(`writing ${result.out}`, written, total),
  })
  const page = join(result.out, 'report.html')
  await writeFile(`${page}.part`, reportPage(result))
  await rename(`${page}.part`, page)
  context.say(`${result.out}: a Hugging Face folder in ${record.dtype} with conversion.json\n${page}: the report with pictures\n`)
}
