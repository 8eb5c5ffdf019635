import type { QualityPlan } from '@attune/convert'
import { fixed } from '../table.ts'
import type { Measurement } from './measure.ts'

/** What the ladder showed, in sentences. */
export function ladderWords(measurements: readonly Measurement[]): string[] {
  const [source, ...others] = measurements
  const exact = others.filter(m => m.exactness === 'exact')
  const lossy = others.filter(m => m.exactness !== 'exact')
  const words = exact.map(
    m =>
      `${m.label} is exact: the same function with ${fixed(m.kvBytesPerToken / source.kvBytesPerToken, 2)} × the KV bytes (largest logit difference ${fixed(m.maxLogitDifference ?? 0, 2)}).`,
  )
  if (lossy.length > 0) {
    const costs = lossy.map(m => `${fixed(m.perplexity)} by ${m.label.replace('MQA ', '')}`)
    words.push(
      `One key head for all queries in every layer keeps ${fixed((100 * lossy[0].kvBytesPerToken) / source.kvBytesPerToken, 2)} % of the KV bytes, and without training it costs this: perplexity ${fixed(source.perplexity)} becomes ${costs.join(', ')}.`,
    )
    const best = Math.min(...lossy.map(m => m.perplexity))
    if (best > 1.5 * source.perplexity) words.push('No such model is fit for use before it is trained further.')
  }
  return words
}

/** What the plan is, in sentences. */
export function planWords({ plan, report, points, source }: QualityPlan, limit: number): string[] {
  const layers = report.layers.map(l => l.layer)
  if (layers.length === 0) return [`No layer could be converted within ${limit} × the source's perplexity: the plan is the source.`]
  const kept = points.filter(p => p.kept && p.layers.length === layers.length)[0]
  const { before, after } = report.kvBytesPerToken
  const [{ to, method }] = plan.layers
  return [
    `The plan converts the ${layers.length} layer${layers.length > 1 ? 's' : ''} of least error (${layers.join(', ')}) to ${to} by ${method}: perplexity ${fixed(kept.quality)}, ${kept.factor.toFixed(3)} × the source's ${fixed(source)} (limit ${limit} ×, on the same held-out text), with ${((100 * after) / before).toFixed(0)} % of the KV bytes.`,
  ]
}
