import { type AttendOptions, type AttendResult, attendOf } from '@attune/ops'
import type { Tensor } from '@attune/tensor'
import type { Past } from './state.ts'

/** Attention of q (N, H, d) over what a state remembers; K and V are its parts `k` and `v` unless named otherwise. */
export function attend(q: Tensor, past: Past, options: AttendOptions & { keys?: string; values?: string } = {}): AttendResult {
  const { keys = 'k', values = 'v', ...rest } = options
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
    },
    rest,
  )
}
