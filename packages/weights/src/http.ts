import { AttuneError } from '@attune/tensor'
import { abortError, formatError } from './error.ts'
import { type ByteSource, byteSource } from './source.ts'

export interface HttpOptions {
  name?: string
  headers?: Record<string, string>
  signal?: AbortSignal
  fetch?: typeof fetch
}

/** A file on a server that answers range requests; its size comes from the first answer. Errors: `ERR_NETWORK`, `ERR_NOT_FOUND`, `ERR_ABORTED`. */
export async function httpSource(url: string, options: HttpOptions = {}): Promise<ByteSource> {
  const { name = url, headers = {}, fetch: get = fetch } = options
  const request = async (offset: number, length: number, signal?: AbortSignal) => {
    const range = `bytes=${offset}-${offset + length - 1}`
    const answer = await ask(get, url, { headers: { ...headers, range, 'accept-encoding': 'identity' }, signal }, name)
    const contentRange = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.headers.get('content-range') ?? '')
    if (answer.status !== 206 || !contentRange || Number(contentRange[1]) !== offset) {
      await answer.body?.cancel()
      throw new AttuneError('ERR_NETWORK', `${name}: the server does not answer range requests (status ${answer.status})`, {
        url,
        range,
        status: answer.status,
      })
    }
    return { answer, total: Number(contentRange[3]) }
  }
  const first = await request(0, 1, options.signal)
  await first.answer.arrayBuffer()
  const size = first.total
  return byteSource(name, size, async (offset, target, signal) => {
    const { answer, total } = await request(offset, target.length, signal)
    if (total !== size)
      throw formatError(name, 'length', offset, `the file changed on the server: ${size} bytes before, ${total} now`, { size, total })
    const got = await fillFrom(answer, target, signal, name)
    if (got !== target.length)
      throw new AttuneError('ERR_NETWORK', `${name}: ${got} of ${target.length} bytes arrived`, {
        url,
        offset,
        expected: target.length,
        got,
      })
  })
}

/** `fetch` with attune's errors: network failure, abort and HTTP status become `AttuneError`s. Statuses below 400 are returned. */
export async function ask(get: typeof fetch, url: string, init: RequestInit, name: string): Promise<Response> {
  let answer: Response
  try {
    answer = await get(url, init)
  } catch (cause) {
    if (init.signal?.aborted) throw abortError(init.signal, `fetching ${name}`)
    throw new AttuneError('ERR_NETWORK', `${name}: ${url} could not be reached (${reasonOf(cause)})`, { url }, cause)
  }
  if (answer.status < 400) return answer
  await answer.body?.cancel()
  const code = answer.status === 404 || answer.status === 410 ? 'ERR_NOT_FOUND' : 'ERR_NETWORK'
  const reason = answer.headers.get('x-error-code') ?? undefined
  throw new AttuneError(code, `${name}: ${url} answered ${answer.status}${reason ? ` (${reason})` : ''}`, {
    url,
    status: answer.status,
    reason,
  })
}

/** What lies under fetch's bare "fetch failed". */
export function reasonOf(error: unknown): string {
  const { message, code, cause } = error as { message?: string; code?: string; cause?: unknown }
  return cause ? reasonOf(cause) : message || code || 'no reason given'
}

async function fillFrom(answer: Response, target: Uint8Array, signal: AbortSignal | undefined, name: string): Promise<number> {
  let at = 0
  try {
    const reader = answer.body!.getReader() // not every browser iterates a stream
    for (let { value } = await reader.read(); value; { value } = await reader.read()) {
      if (at + value.length > target.length) {
        await reader.cancel()
        return at + value.length
      }
      target.set(value, at)
      at += value.length
    }
  } catch (cause) {
    if (signal?.aborted) throw abortError(signal, `fetching ${name}`)
    throw new AttuneError(
      'ERR_NETWORK',
      `${name}: the connection broke after ${at} of ${target.length} bytes`,
      { got: at, expected: target.length },
      cause,
    )
  }
  return at
}
