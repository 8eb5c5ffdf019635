import { existsSync } from 'node:fs'
import {
  type Conversion,
  type ConversionRecord,
  type KeptConversion,
  type Plan,
  planByQuality,
  type QualityPlan,
  type QualityPoint,
} from '@attune/convert'
import { type ConvertFolderOptions, convertFolder, workPath } from '@attune/convert/node'
import { loadTokenizer } from '@attune/generate'
import type { LoadedModel } from '@attune/kit'
import type { Model } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import type { Context } from './context.ts'
import { heldPerplexity } from './job/measure.ts'
import { type Texts, textsFor } from './texts.ts'

export interface Made {
  readonly report: Conversion['report']
  readonly record: ConversionRecord
  /** Plans that `--quality` tried. */
  readonly points: readonly QualityPoint[]
}

/** Carries a plan out and writes the result to `out`; an unfinished run of the same is taken up where it was. */
export async function conversionOf(
  context: Context,
  checkpoint: Checkpoint,
  plan: Plan,
  options: Record<string, any>,
  out: string,
): Promise<Made> {
  if (options.quality !== undefined && options.layers !== 'all')
    throw new AttuneError('ERR_ARGUMENT', '--quality chooses the layers itself: leave --layers out', {})
  if (options.resume && options.restart) throw new AttuneError('ERR_ARGUMENT', 'give either --resume or --restart', {})
  const { signal } = context.io
  const kit = await context.kit()
  const source = options.quality === undefined ? undefined : await context.load(checkpoint, { chunk: 128 })
  const model = source?.model ?? (await kit.model(checkpoint, context.loading))
  const texts = await textsOf(checkpoint, model, options)
  const points: QualityPoint[] = []
  const choose = async (kept: KeptConversion) => {
    const chosen = await byQuality(context, checkpoint, source!, kept, plan, options, texts)
    points.push(...chosen.points)
    return chosen
  }
  const settings: ConvertFolderOptions = {
    device: kit.device(),
    calibration: texts.calibration,
    heldOut: texts.held.flat(),
    window: texts.held[0].length,
    seed: options.seed,
    measure: options.measure,
    unfinished: options.restart ? 'restart' : options.resume ? 'resume' : 'auto',
    signal,
    ...(source ? { choose } : {}),
    onProgress: ({ layer, layers }) => context.progress.update('converting', layer, layers),
    onMeasure: layer => context.progress.update('comparing', layer, model.spec.layers.length),
    onResume: ({ layers, folder }) => context.progress.note(`${folder}: ${layers} layers were converted before; going on from there`),
    write: {
      dtype: options.dtype,
      onProgress: ({ written, total }) => context.progress.update(`writing ${out}`, written, total),
    },
  }
  try {
    return { ...(await convertFolder(model, plan, out, checkpoint, settings)), points }
  } catch (error) {
    if (existsSync(workPath(out))) context.progress.note(`what was finished is kept in ${workPath(out)}; the same command goes on from it`)
    throw error
  } finally {
    await source?.dispose()
  }
}

/** The texts of `--calibration`. */
export const textsOf = (checkpoint: Checkpoint, { spec }: Model, { calibration }: Record<string, any>): Promise<Texts> =>
  textsFor(loadTokenizer(checkpoint), spec.maxPositions, calibration === 'builtin' ? undefined : calibration)

async function byQuality(
  context: Context,
  checkpoint: Checkpoint,
  source: LoadedModel,
  whole: Conversion,
  plan: Plan,
  options: Record<string, any>,
  texts: Texts,
): Promise<QualityPlan> {
  const kit = await context.kit()
  return planByQuality(source.model, {
    ...plan.layers[0],
    whole,
    signal: context.io.signal,
    limit: options.quality,
    onPoint: p => context.progress.note(`${p.layers.length} layers: perplexity ${p.quality.toFixed(2)} (${p.factor.toFixed(3)} ×)`),
    evaluate: async model => {
      if (model === source.model) return heldPerplexity(source, texts, context.io.signal)
      const loaded = kit.wrap(model, checkpoint, { chunk: 128 })
      try {
        return await heldPerplexity(loaded, texts, context.io.signal)
      } finally {
        await loaded.dispose([source])
      }
    },
  })
}
