import { AttuneError } from '@attune/tensor'

/** Token ids in independent windows of equal length; a last piece shorter than two tokens is left out. Errors: `ERR_ARGUMENT`. */
export function windowsOf(ids: ArrayLike<number> = [], window = 512): Int32Array[] {
  if (!Number.isInteger(window) || window < 2)
    throw new AttuneError('ERR_ARGUMENT', `a calibration window needs at least 2 tokens, got ${window}`, { window })
  const all = Int32Array.from(ids)
  const out: Int32Array[] = []
  for (let at = 0; all.length - at >= 2; at += window) out.push(all.subarray(at, at + window))
  return out
}
