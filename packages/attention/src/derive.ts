import { copyOf, type Tensor } from '@attune/tensor'
import type { Past } from './state.ts'

/** A past whose parts, each (B, heads, S, width), were made from all rows of `from` (see `Past.dense`): same slots, any number of heads. */
export function derived(past: Past, from: string, parts: Readonly<Record<string, Tensor>>): Past {
  const spread = (t: Tensor | undefined) =>
    t && Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, sameForHeads(t, part.shape[1] as number)]))
  return {
    tokens: past.tokens,
    parts,
    lengths: spread(past.lengths[from])!,
    rows: spread(past.rows?.[from]),
    positions: spread(past.positions?.[from]),
    at: (part, batch, row) => past.at(part, batch, row),
    dense: part => parts[part] ?? past.dense(part),
    observing: past.observing,
  }
}

/** The first head's numbers (B, n, …) for each of `heads`. */
function sameForHeads(t: Tensor, heads: number): Tensor {
  if (t.shape[1] === heads) return t
  return copyOf(t.slice(1, 0, 1).expand([t.shape[0], heads, ...t.shape.slice(2)]))
}
