import { AttuneError } from '@attune/tensor'

/** Tokens per piece of linear algebra: a few milliseconds each. */
export const PIECE = 128

/** Lets the event loop turn. Errors: `ERR_ABORTED`. */
export async function breathe(signal?: AbortSignal): Promise<void> {
  await new Promise(r => setTimeout(r))
  if (signal?.aborted) throw new AttuneError('ERR_ABORTED', 'the conversion was aborted', {}, signal.reason)
}
