import type { Observed } from '../policy.ts'
import { massOf } from './scores.ts'

/**
 * How much of its weight each key head gives to rows that are neither among the first `sinks` nor among the latest `recent`: near 0 for
 * heads that a window serves as well, larger for heads that retrieve. A gate without training.
 */
export const farMass = (observed: Observed, { sinks = 4, recent = 64 } = {}): number[][] =>
  observed.layers.map(layer =>
    massOf('the gate of heads', layer).map((mass, h) => {
      let [far, all] = [0, 0]
      for (const [slot, row] of layer.rows[h].entries()) {
        all += mass[slot]
        if (row >= sinks && row < observed.rows - recent) far += mass[slot]
      }
      return all > 0 ? far / all : 0
    }),
  )
