import type { Model } from '@attune/models'
import { underPrefix } from '@attune/nn'
import { AttuneError } from '@attune/tensor'
import { type Conversion, type ConvertOptions, convert, withForms } from './convert.ts'
import type { Plan, PlanEntry } from './plan.ts'
import { type ConversionReport, kvBytesPerToken } from './report.ts'

export interface QualityOptions extends Omit<ConvertOptions, 'sequential'> {
  /** Variant that layers become, how, and with which wishes. */
  readonly to: string
  readonly method?: string
  readonly config?: PlanEntry['config']
  readonly options?: PlanEntry['options']
  readonly fit?: PlanEntry['fit']
  /** Perplexity (or another cost that grows as quality falls) of a model; lower is better. */
  readonly evaluate: (model: Model) => Promise<number>
  /** Most it may grow by, as a factor (default 1.15). */
  readonly limit?: number
  /** A conversion of all layers by the same method, with measured errors, where there is one already. */
  readonly whole?: Conversion
  onPoint?(point: QualityPoint): void
}

/** A plan that was tried. */
export interface QualityPoint {
  /** Layers converted, least error first. */
  readonly layers: readonly number[]
  readonly quality: number
  /** Quality over the source's. */
  readonly factor: number
  readonly kvBytesPerToken: number
  readonly kept: boolean
}

export interface QualityPlan extends Conversion {
  readonly source: number
  /** Everything that was tried, in order. */
  readonly points: readonly QualityPoint[]
}

/**
 * Converts as many layers as the limit on quality allows: layers in the order of their error on held-out text, the count by bisection
 * over real evaluations. A bisection takes it that quality falls as layers are added; each kept plan was evaluated itself.
 */
export async function planByQuality(model: Model, options: QualityOptions): Promise<QualityPlan> {
  const { to, method, config, options: settings, fit, evaluate, limit = 1.15, kv = 'f32', signal } = options
  const entry = (layers: readonly number[]): Plan => ({ layers: [{ layers, to, method, config, options: settings, fit }] })
  const whole = options.whole ?? (await convert(model, entry(model.spec.layers.map((_, i) => i)), { ...options, sequential: false }))
  const order = [...whole.report.layers].sort((a, b) => errorOf(a.error) - errorOf(b.error) || a.layer - b.layer).map(l => l.layer)
  const source = await evaluate(model)
  const points: QualityPoint[] = []
  const attempt = async (count: number): Promise<boolean> => {
    if (signal?.aborted) throw new AttuneError('ERR_ABORTED', 'the search for a plan was aborted', {}, signal.reason)
    const layers = order.slice(0, count)
    const made = some(model, whole, layers)
    const quality = await evaluate(made)
    const point = { layers, quality, factor: quality / source, kvBytesPerToken: kvBytesPerToken(made, kv), kept: quality <= limit * source }
    points.push(point)
    options.onPoint?.(point)
    return point.kept
  }
  // The largest count known to be kept, and the smallest known not to be.
  let [kept, lost] = [0, order.length + 1]
  for (let count = Math.ceil(order.length / 4); lost - kept > 1; count = Math.floor((kept + lost) / 2)) {
    if (await attempt(count)) kept = count
    else lost = count
  }
  const layers = order.slice(0, kept).sort((a, b) => a - b)
  const made = some(model, whole, layers)
  const report: ConversionReport = {
    ...whole.report,
    layers: whole.report.layers.filter(l => layers.includes(l.layer)),
    exactness: kept > 0 ? whole.report.exactness : 'exact',
    kvBytesPerToken: { before: kvBytesPerToken(model, kv), after: kvBytesPerToken(made, kv) },
  }
  return { model: made, plan: entry(layers), report, source, points }
}

/** The model with some layers of a conversion of all. */
function some(model: Model, whole: Conversion, layers: readonly number[]): Model {
  return withForms(
    model,
    new Map(layers.map(i => [i, { layer: whole.model.spec.layers[i], values: underPrefix(whole.model.values, `layers.${i}`) }])),
  )
}

function errorOf(error: number | undefined): number {
  if (error === undefined)
    throw new AttuneError('ERR_ARGUMENT', 'a plan by quality needs held-out tokens: layers go by their measured error', {})
  return error
}
