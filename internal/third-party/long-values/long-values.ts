import { allowed, type EvictionPolicy } from '@attune/cache'

/** Keeps the rows whose values are longest beside the first and the last few: a row that says little is not missed. */
export const longValues = ({ sinks = 2, recent = 8 } = {}): EvictionPolicy => ({
  name: 'long-values',
  about: { title: 'Rows with long values' },
  observes: { parts: ['v'] },
  after: 'prefill',
  plan: ({ layers }, budget) =>
    layers.map(({ rows, parts }) =>
      rows.map((own, h) => {
        const values = parts!.v[h]
        const width = values.length / own.length
        const score = Array.from(own, (_, s) => {
          const edge = s < sinks || s >= own.length - recent
          return edge ? Number.POSITIVE_INFINITY : Math.hypot(...values.subarray(s * width, (s + 1) * width))
        })
        const order = score.map((_, s) => s).sort((a, b) => score[b] - score[a] || a - b)
        return Int32Array.from(order.slice(0, allowed(budget, own.length))).sort()
      }),
    ),
})
