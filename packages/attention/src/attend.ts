import { type AttendOptions, type AttendResult, attendOf, groupedHeads } from '@attune/ops'
import { AttuneError, type Tensor } from '@attune/tensor'
import { mergeParts } from './merge.ts'
import type { Past, Segment } from './state.ts'

export interface AttendPastOptions extends Omit<AttendOptions, 'page' | 'mass'> {
  /** Parts that hold keys and values, `k` and `v` by default. Where there is no part of values, the first `valueWidth` numbers of a key are the value. */
  readonly keys?: string
  readonly values?: string
  /** A learned logit per query head (H) that takes weight but gives no value. */
  readonly sink?: Tensor
  /** Key blocks each token reads (N, key heads or query heads, cap) i32 and how many of them (N, …heads) i32; `block` slots each. */
  readonly blocks?: Tensor
  readonly blockCounts?: Tensor
}

/** Attention of q (N, H, d) over what a state remembers, however it is stored; policies see what they asked for. */
export function attend(q: Tensor, past: Past, options: AttendPastOptions = {}): AttendResult {
  const { observing, more = [] } = past
  if (more.length > 0) return attendAll(q, past, more, options)
  const result = attendOne(q, past, past, options, observing?.mass ?? false)
  const keys = options.keys ?? 'k'
  if (result.mass) observing!.takeMass(keys, result.mass)
  observing?.takeQueries?.(keys, q, keyHeadsOf(q, past, keys, options))
  return result
}

function attendOne(
  q: Tensor,
  { tokens }: Pick<Past, 'tokens'>,
  segment: Segment,
  { keys = 'k', values = 'v', sink, blocks, blockCounts, ...options }: AttendPastOptions,
  mass = false,
): AttendResult {
  const { parts, lengths, rows, positions, pages, sees } = segment
  // Values may be the first numbers of keys.
  const from = parts[values] ? values : keys
  const result = attendOf(
    {
      q: segment.turn?.(keys, q, keyHeadsOf(q, segment, keys, options)) ?? q,
      k: parts[keys],
      v: parts[values],
      lengths: lengths[keys],
      offsets: tokens.offsets,
      qRow: tokens.row,
      qPosition: tokens.position,
      kRow: rows?.[keys],
      kPosition: positions?.[keys],
      sink,
      blocks,
      blockCounts,
      pages: pages?.tables[keys],
    },
    {
      ...options,
      // Turned queries may be narrower.
      scale: options.scale ?? (q.shape[2] as number) ** -0.5,
      mask: options.mask && sees ? options.mask.and(sees) : (options.mask ?? sees),
      page: pages?.size,
      mass,
    },
  )
  return segment.turnBack ? { ...result, out: segment.turnBack(from, result.out) } : result
}

/** Over several segments, merged by their log-sum-exps. */
function attendAll(q: Tensor, past: Past, more: readonly Segment[], options: AttendPastOptions): AttendResult {
  if (options.weigh === 'sigmoid' || options.blocks || options.work || past.observing?.mass)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      'a state in several segments serves plain softmax attention: no block lists, sigmoid weights, observed weights or count of work',
      {},
    )
  const { sink, ...rest } = options
  // The sink takes weight once.
  const results = [past, ...more].map((segment, i) => attendOne(q, past, segment, { ...rest, lse: true, sink: i === 0 ? sink : undefined }))
  const keys = options.keys ?? 'k'
  past.observing?.takeQueries?.(keys, q, keyHeadsOf(q, past, keys, options))
  return mergeParts(results.map(r => ({ out: r.out, lse: r.lse! })))
}

const keyHeadsOf = (q: Tensor, { lengths }: Segment, keys: string, options: AttendPastOptions): readonly number[] =>
  options.keyHeads ?? groupedHeads(q.shape[1] as number, lengths[keys].shape[1] as number)
