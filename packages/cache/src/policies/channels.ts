import type { ObservedLayer } from '../policy.ts'
import { best, partOf } from './scores.ts'

/**
 * Channels of each key head that its queries and keys use most: the mean square of a channel over the observed queries, times that over
 * the keys; `count` of them, ascending. https://arxiv.org/abs/2407.21018
 */
export function usedChannels(layer: ObservedLayer, keys: string, count: number): Int32Array[] {
  const { data, width, keyHeads } = layer.queries!
  return partOf('think', layer, keys).map((rows, head) => {
    const queries = new Float64Array(width)
    for (let i = 0; i < data.length; i++) if (keyHeads[Math.floor(i / width) % keyHeads.length] === head) queries[i % width] += data[i] ** 2
    const own = new Float64Array(width)
    for (let i = 0; i < rows.length; i++) own[i % width] += rows[i] ** 2
    return best(
      own.map((x, d) => x * queries[d]),
      count,
    )
  })
}
