import { gqa, mha, mqa } from '@attune/attention-heads'
import { llama, modelFrom } from '@attune/models'
import { reference } from '@attune/tensor'
import { openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import type { Plan } from '../src/index.ts'
import { type ConvertedFolder, type ConvertFolderOptions, convertFolder } from '../src/node/index.ts'

/** A layer by an exact bridge, one left as it is, one by a calibrated bridge. */
const plan: Plan = {
  layers: [
    { layers: [0], to: 'mha' },
    { layers: [2], to: 'mqa', method: 'least-squares', fit: 'none' },
  ],
}
const ids = (count: number, step: number): number[] => Array.from({ length: count }, (_, i) => (i * step + 3) % 256)

/** One small conversion with everything in it: a walk, a layer left alone, several shards, rounding. */
export async function conversionRun(source: string, target: string, options: ConvertFolderOptions = {}): Promise<ConvertedFolder> {
  const checkpoint = await openCheckpoint(await diskFolder(source))
  try {
    const model = modelFrom(checkpoint, llama, new Map([mha, mqa, gqa].map(v => [v.name, v])))
    return await convertFolder(model, plan, target, checkpoint, {
      device: reference(),
      calibration: ids(12, 7),
      heldOut: ids(6, 11),
      window: 6,
      ...options,
      write: { dtype: 'bf16', maxShardBytes: 60_000, ...options.write },
    })
  } finally {
    await checkpoint.close()
  }
}
