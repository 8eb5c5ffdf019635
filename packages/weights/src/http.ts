import { AttuneError } from '@attune/tensor'
import { abortError, formatError } from './error.ts'
import { type Patience, passing, patiently, retryAfter } from './retry.ts'
import { type ByteSource, byteSource } from './source.ts'

export interface HttpOptions extends Pick<Patience, 'attempts' | 'waitMs'> {
  name?: string
  headers?: Record<string, string>
  signal?: AbortSignal
  fetch?: typeof fetch
}

/**
 * A file on a server that answers range requests; its size comes from the first answer. A broken connection is taken up where it broke; a
 * file that changes meanwhile is refused. Errors: `ERR_NETWORK`, `ERR_NOT_FOUND`, `ERR_FORMAT`, `ERR_ABORTED`.
 */
export async function httpSource(url: string, options: HttpOptions = {}): Promise<ByteSource> {
  const { name = url } = options
  const patience = { attempts: options.attempts, waitMs: options.waitMs }
  const { size, etag } = await patiently(`fetching ${name}`, () => sizeOf(url, name, options), { ...patience, signal: options.signal })
  const begin = async (offset: number, length: number, signal?: AbortSignal): Promise<AsyncGenerator<Uint8Array>> => {
    const { answer, ...now } = await part(url, name, offset, length, { ...options, signal })
    if (now.size === size && (etag === undefined || now.etag === undefined || etag === now.etag)) return piecesOf(answer, name, signal)
    await answer.body?.cancel()
    const data = { size, total: now.size, etag, now: now.etag }
    throw formatError(name, 'length', offset, `the file changed on the server: ${size} bytes before, ${now.size} now`, data)
  }
  async function* arriving(offset: number, length: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    let at = 0
    let body: AsyncGenerator<Uint8Array> | undefined
    const next = async (): Promise<Uint8Array> => {
      try {
        body ??= await begin(offset + at, length - at, signal)
        const { value } = await body.next()
        if (value && value.length <= length - at) return value
        const what = value ? `more than the ${length} bytes asked for came` : `${at} of ${length} bytes arrived`
        throw passing(`${name}: ${what}`, { url, offset, expected: length, got: at })
      } catch (error) {
        await body?.return(undefined)
        body = undefined
        throw error
      }
    }
    try {
      while (at < length) {
        const piece = await patiently(`fetching ${name}`, next, { ...patience, signal })
        at += piece.length
        yield piece
      }
    } finally {
      await body?.return(undefined)
    }
  }
  const fill: ByteSource['readInto'] = async (offset, target, signal) => {
    let at = 0
    for await (const piece of arriving(offset, target.length, signal)) {
      target.set(piece, at)
      at += piece.length
    }
  }
  return { ...byteSource(name, size, fill), arriving }
}

interface Part {
  readonly answer: Response
  /** Of the whole file. */
  readonly size: number
  readonly etag?: string
}

async function sizeOf(url: string, name: string, options: HttpOptions): Promise<Omit<Part, 'answer'>> {
  const { answer, ...told } = await part(url, name, 0, 1, options)
  await answer.body?.cancel()
  return told
}

/** Asks for a part of a file: the answer begins at `offset`. */
async function part(url: string, name: string, offset: number, length: number, options: HttpOptions): Promise<Part> {
  const { headers = {}, fetch: get = fetch, signal } = options
  const range = `bytes=${offset}-${offset + length - 1}`
  const answer = await ask(get, url, { headers: { ...headers, range, 'accept-encoding': 'identity' }, signal }, name, [416])
  const told = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(answer.headers.get('content-range') ?? '')
  const size = Number(told?.[2])
  const fits = answer.status === 206 ? Number(told?.[1]) === offset : answer.status === 416 && size <= offset
  if (!fits) {
    await answer.body?.cancel()
    const data = { url, range, status: answer.status }
    throw new AttuneError('ERR_NETWORK', `${name}: the server does not answer range requests (status ${answer.status})`, data)
  }
  const etag = answer.headers.get('etag') ?? undefined
  return { answer, size, ...(etag === undefined || etag.startsWith('W/') ? {} : { etag }) }
}

/**
 * `fetch` with attune's errors: network failure, abort and HTTP status become `AttuneError`s. Statuses below 400 and those in `fine` are
 * returned. What may pass (no connection, 408, 429, 5xx) says so with `data.retry`.
 */
export async function ask(
  get: typeof fetch,
  url: string,
  init: RequestInit,
  name: string,
  fine: readonly number[] = [],
): Promise<Response> {
  let answer: Response
  try {
    answer = await get(url, init)
  } catch (cause) {
    if (init.signal?.aborted) throw abortError(init.signal, `fetching ${name}`)
    throw passing(`${name}: ${url} could not be reached (${reasonOf(cause)})`, { url }, cause)
  }
  const { status } = answer
  if (status < 400 || fine.includes(status)) return answer
  await answer.body?.cancel()
  const reason = answer.headers.get('x-error-code') ?? undefined
  const said = answer.headers.get('x-error-message') ?? undefined
  const wait = retryAfter(answer.headers.get('retry-after'))
  const later = wait === undefined ? '' : `; it asks to wait ${Math.ceil(wait / 1000)} s`
  const message = `${name}: ${url} answered ${status}${reason ? ` (${reason})` : ''}${later}`
  const data = { url, status, reason, said }
  if (status === 408 || status === 429 || status >= 500) throw passing(message, { ...data, retryAfter: wait })
  throw new AttuneError(status === 404 || status === 410 ? 'ERR_NOT_FOUND' : 'ERR_NETWORK', message, data)
}

/** What lies under fetch's bare "fetch failed". */
function reasonOf(error: unknown): string {
  const { message, code, cause } = error as { message?: string; code?: string; cause?: unknown }
  return cause ? reasonOf(cause) : message || code || 'no reason given'
}

/** A body as it comes. Not every browser iterates a stream. */
export async function* piecesOf(answer: Response, name: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const reader = answer.body?.getReader()
  if (!reader) return
  try {
    for (;;) {
      const { value } = await reader.read().catch(cause => {
        if (signal?.aborted) throw abortError(signal, `fetching ${name}`)
        throw passing(`${name}: the connection broke (${reasonOf(cause)})`, {}, cause)
      })
      if (!value) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}
