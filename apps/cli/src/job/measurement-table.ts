import { fixed } from '../table.ts'
import type { Measurement } from './measure.ts'

/** The table of the main job: its header, then a line per model. */
export function measurementTable(measurements: readonly Measurement[]): string[][] {
  const full = measurements[0]?.kvBytesPerToken ?? 1
  return [
    ['model', 'class', 'max |Δlogit|', 'mean KL', 'perplexity', 'KV B/token', 'KV', 'prefill t/s', 'decode t/s', 'worst layer'],
    ...measurements.map(m => [
      m.label,
      m.exactness,
      m.maxLogitDifference === undefined ? '–' : fixed(m.maxLogitDifference),
      m.meanKl === undefined ? '–' : fixed(m.meanKl),
      m.perplexity >= 1000 ? m.perplexity.toFixed(0) : m.perplexity.toFixed(2),
      String(m.kvBytesPerToken),
      `${((100 * m.kvBytesPerToken) / full).toFixed(0)} %`,
      m.prefill.toFixed(0),
      m.decode.toFixed(1),
      m.worst ? `${fixed(m.worst.error, 2)} (layer ${m.worst.layer})` : '–',
    ]),
  ]
}
