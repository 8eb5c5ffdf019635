import { b, chain, type Expr, h, q as qOf, s, table } from '@attune/expr'
import { type AttendOptions, type AttendResult, attendOf, groupedHeads } from '@attune/ops'
import { AttuneError, dense, fill, mapWith, type Tensor } from '@attune/tensor'
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
  if (options.weigh === 'sigmoid' || options.blocks || options.work)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      'a state in several segments serves plain softmax attention: no block lists, sigmoid weights or count of work',
      {},
    )
  const { sink, ...rest } = options
  // The sink takes weight once.
  const results = [past, ...more].map((segment, i) => attendOne(q, past, segment, { ...rest, lse: true, sink: i === 0 ? sink : undefined }))
  const keys = options.keys ?? 'k'
  if (past.observing?.mass) past.observing.takeMass(keys, massBeside(q, past, results, options))
  past.observing?.takeQueries?.(keys, q, keyHeadsOf(q, past, keys, options))
  return mergeParts(results.map(r => ({ out: r.out, lse: r.lse! })))
}

/** Weights of the first segment's slots beside the other segments and the sink, which stand in as one logit per query. */
function massBeside(q: Tensor, past: Past, [own, ...others]: readonly AttendResult[], { sink, ...options }: AttendPastOptions): Tensor {
  const heads = q.shape[1] as number
  const elsewhere = mergeParts(others.map(r => ({ out: r.out, lse: r.lse! }))).lse
  const all = sink ? mapWith((x, y) => logOfSum(x, y), [elsewhere, sink.unsqueeze(0)]) : elsewhere
  // Scores less that logit, which is then 0. Where it is far below the segment's own it takes no weight, and the difference stays small.
  const logit = dense(mapWith((x, y) => x.max(y.sub(60)), [all, own.lse!]))
  const first = table(past.tokens.offsets, { dtype: 'i32', rank: 1 }).at(b)
  const row = table(past.tokens.row, { dtype: 'i32', rank: 1 }).at(first)
  const token = first.add(qOf.row).sub(row)
  const score = chain(options.score, s.sub(table(logit, { dtype: 'f32', rank: 2 }).at(token, h)))
  return attendOne(q, past, past, { ...options, score, sink: fill(0, [heads]) }, true).mass!
}
const logOfSum = (x: Expr, y: Expr): Expr => x.max(y).add(x.min(y).sub(x.max(y)).exp().add(1).log())

const keyHeadsOf = (q: Tensor, { lengths }: Segment, keys: string, options: AttendPastOptions): readonly number[] =>
  options.keyHeads ?? groupedHeads(q.shape[1] as number, lengths[keys].shape[1] as number)
