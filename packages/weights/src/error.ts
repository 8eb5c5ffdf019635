import { AttuneError } from '@attune/tensor'

/** A damaged or hostile file: names the file, the field and the byte offset where it was seen. */
export function formatError(
  file: string,
  field: string,
  offset: number,
  why: string,
  data: Record<string, unknown> = {},
  cause?: unknown,
): AttuneError {
  return new AttuneError('ERR_FORMAT', `${file}: ${show(field)} at byte ${offset}: ${why}`, { file, field, offset, ...data }, cause)
}

/** Throws `ERR_ABORTED` once `signal` is aborted. */
export function checkAbort(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw abortError(signal, what)
}

export function abortError(signal: AbortSignal, what: string): AttuneError {
  return new AttuneError('ERR_ABORTED', `${what} was aborted`, { what }, signal.reason)
}

/** A name from a file, safe to print: control characters escaped and cut at 120 characters. */
export function show(name: string): string {
  const plain = name.length > 120 ? `${name.slice(0, 117)}...` : name
  return [...plain].map(c => (c < ' ' || (c >= '\x7f' && c < '\xa0') ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}` : c)).join('')
}
