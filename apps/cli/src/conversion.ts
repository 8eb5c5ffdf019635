import { type Conversion, type ConversionRecord, convert, type Plan, planByQuality, type QualityPoint } from '@attune/convert'
import { exportFolder } from '@attune/convert/node'
import { loadTokenizer } from '@attune/generate'
import type { Model } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import type { Context } from './context.ts'
import { heldPerplexity } from './job/measure.ts'
import { type Texts, textsFor } from './texts.ts'

export interface Made {
  readonly conversion: Conversion
  readonly record: ConversionRecord
  /** Plans that `--quality` tried. */
  readonly points: readonly QualityPoint[]
}

/** Carries a plan out and writes the result to `out`. */
export async function conversionOf(
  context: Context,
  checkpoint: Checkpoint,
  plan: Plan,
  options: Record<string, any>,
  out: string,
): Promise<Made> {
  const { signal } = context.io
  const kit = await context.kit()
  const model = await kit.model(checkpoint, { weights: context.options.weights })
  const texts = await textsOf(checkpoint, model, options)
  const shared = {
    device: kit.device(),
    calibration: texts.calibration,
    heldOut: texts.held.flat(),
    window: texts.held[0].length,
    seed: options.seed,
    signal,
    onProgress: ({ layer, layers }: { layer: number; layers: number }) => context.progress.update('converting', layer, layers),
  }
  const made =
    options.quality === undefined ? await convert(model, plan, shared) : await byQuality(context, checkpoint, plan, options, texts, shared)
  context.progress.update('converting', 1, 1)
  const record = await exportFolder(made.model, out, checkpoint, {
    dtype: options.dtype,
    conversion: made,
    calibration: made.report.calibrationTokens > 0 ? texts.calibration : undefined,
    signal,
    onProgress: ({ written, total }) => context.progress.update(`writing ${out}`, written, total),
  })
  return { conversion: made, record, points: 'points' in made ? (made.points as QualityPoint[]) : [] }
}

/** The texts of `--calibration`. */
export const textsOf = (checkpoint: Checkpoint, { spec }: Model, { calibration }: Record<string, any>): Promise<Texts> =>
  textsFor(loadTokenizer(checkpoint), spec.maxPositions, calibration === 'builtin' ? undefined : calibration)

async function byQuality(
  context: Context,
  checkpoint: Checkpoint,
  plan: Plan,
  options: Record<string, any>,
  texts: Texts,
  shared: Parameters<typeof convert>[2] & object,
): Promise<Conversion & { points: readonly QualityPoint[] }> {
  if (options.layers !== 'all') throw new AttuneError('ERR_ARGUMENT', '--quality chooses the layers itself: leave --layers out', {})
  const source = await context.load(checkpoint, { chunk: 128 })
  const kit = await context.kit()
  try {
    return await planByQuality(source.model, {
      ...shared,
      ...plan.layers[0],
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
  } finally {
    await source.dispose()
  }
}
