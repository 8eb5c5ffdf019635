import { type AttendOptions, type AttendResult, attendOf } from '@attune/ops'
import type { Tensor } from '@attune/tensor'
import type { Past } from './state.ts'

export interface AttendPastOptions extends AttendOptions {
  /** Parts that hold keys and values, `k` and `v` by default. */
  readonly keys?: string
  readonly values?: string
  /** A learned logit per query head (H) that takes weight but gives no value. */
  readonly sink?: Tensor
}

/** Attention of q (N, H, d) over what a state remembers. */
export function attend(q: Tensor, past: Past, { keys = 'k', values = 'v', sink, ...options }: AttendPastOptions = {}): AttendResult {
  const { tokens } = past
  return attendOf(
    {
      q,
      k: past.parts[keys],
      v: past.parts[values],
      lengths: past.lengths[keys],
      offsets: tokens.offsets,
      qRow: tokens.row,
      qPosition: tokens.position,
      kRow: past.rows?.[keys],
      sink,
    },
    options,
  )
}
