import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AttuneError } from '@attune/tensor'
import { abortError, checkAbort } from '../error.ts'
import { ask, reasonOf } from '../http.ts'

export interface DownloadOptions {
  name?: string
  /** Bytes the file must have, where a listing says so. */
  size?: number
  /** Hex digest of the content. */
  sha256?: string
  /** Git's id of the content, which small files of a hub repository have instead. */
  gitId?: string
  headers?: Record<string, string>
  signal?: AbortSignal
  onProgress?(loaded: number, total: number | undefined): void
  fetch?: typeof fetch
  /** Attempts in a row that bring no byte before giving up (default 4), and the wait before the second (default 300 ms, doubled each time). */
  attempts?: number
  waitMs?: number
  /** Silence after which a connection counts as broken (default 30 s). */
  stallMs?: number
}

/**
 * Downloads a file to `path`: into `path.part` first, going on where an earlier try stopped, checked, then renamed.
 * Errors: `ERR_NETWORK`, `ERR_NOT_FOUND`, `ERR_FORMAT` (checksum), `ERR_ABORTED`.
 */
export async function download(url: string, path: string, options: DownloadOptions = {}): Promise<void> {
  const { name = url, attempts = 4, waitMs = 300, signal } = options
  const part = `${path}.part`
  await mkdir(dirname(path), { recursive: true })
  let idle = 0
  let corrupted = false
  for (;;) {
    const before = await sizeOf(part)
    try {
      await fetchRest(url, part, before, options)
    } catch (error) {
      checkAbort(signal, `downloading ${name}`)
      idle = (await sizeOf(part)) > before ? 0 : idle + 1
      if (!(error instanceof AttuneError) || error.data.retry !== true || idle >= attempts) throw error
      await pause(Math.min(30_000, waitMs * 2 ** Math.max(0, idle - 1)), signal, name)
      continue
    }
    const wrong = await verify(part, options)
    if (!wrong) break
    await forget(part)
    if (corrupted || before === 0)
      throw new AttuneError('ERR_FORMAT', `${name}: ${wrong}`, { file: name, field: 'content', offset: 0, url })
    corrupted = true // what an earlier run left may have been damaged: once more from the start
  }
  await rename(part, path)
  await rm(etagOf(part), { force: true })
}

const etagOf = (part: string): string => `${part}.etag`

async function forget(part: string): Promise<void> {
  await rm(part, { force: true })
  await rm(etagOf(part), { force: true })
}

const sizeOf = async (path: string): Promise<number> => (await stat(path).catch(() => undefined))?.size ?? 0

function broken(name: string, why: string, data: Record<string, unknown>, cause?: unknown): AttuneError {
  return new AttuneError('ERR_NETWORK', `${name}: ${why}`, { ...data, retry: true }, cause)
}

/** One request for what is missing. Returns when the file is whole; throws with `retry` where another try may help. */
async function fetchRest(url: string, part: string, have: number, options: DownloadOptions): Promise<void> {
  const { name = url, size, headers = {}, fetch: get = fetch, stallMs = 30_000 } = options
  if (size !== undefined && have === size) return
  if (size !== undefined && have > size) {
    await forget(part)
    have = 0
  }
  const watch = watchdog(stallMs, options.signal)
  try {
    const etag = await readFile(etagOf(part), 'utf8').catch(() => undefined)
    const range = have > 0 ? { range: `bytes=${have}-`, ...(etag ? { 'if-range': etag } : {}) } : {}
    const answer = await request(get, url, { headers: { ...headers, ...range, 'accept-encoding': 'identity' }, signal: watch.signal }, name)
    if (answer.status === 416) {
      await answer.body?.cancel()
      if (answer.headers.get('content-range') === `bytes */${have}` && (size ?? have) === have) return
      await forget(part)
      throw broken(name, `the server has no bytes from ${have} on`, { url, have })
    }
    const { start, total } = placeOf(answer, have)
    if (start === undefined || (size !== undefined && total !== undefined && total !== size)) {
      await answer.body?.cancel()
      if (have > 0) await forget(part)
      throw broken(name, `the server sends ${total} bytes from ${start}; ${size ?? 'the rest'} from ${have} was expected`, {
        url,
        start,
        total,
        size,
      })
    }
    await saveEtag(part, answer.headers.get('etag'))
    const whole = size ?? total
    const got = await append(answer, part, start, whole, watch, options)
    if (whole !== undefined && got !== whole) throw broken(name, `${got} of ${whole} bytes arrived`, { url, got, total: whole })
  } finally {
    watch.stop()
  }
}

async function request(get: typeof fetch, url: string, init: RequestInit, name: string): Promise<Response> {
  const answer = await get(url, init).catch(cause => {
    throw broken(name, `${url} could not be reached (${reasonOf(cause)})`, { url }, cause)
  })
  if (answer.status === 416) return answer
  if (answer.status === 429 || answer.status >= 500) {
    await answer.body?.cancel()
    throw broken(name, `${url} answered ${answer.status}`, { url, status: answer.status })
  }
  return ask(async () => answer, url, init, name)
}

/** Where an answer's bytes belong and how long the whole file is. */
function placeOf(answer: Response, have: number): { start?: number; total?: number } {
  const length = answer.headers.get('content-length')
  if (answer.status === 200) return { start: 0, total: length === null ? undefined : Number(length) }
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.headers.get('content-range') ?? '')
  if (answer.status !== 206 || !range) return {}
  return { start: Number(range[1]) === have ? have : undefined, total: range[2] === '*' ? undefined : Number(range[2]) }
}

async function saveEtag(part: string, etag: string | null): Promise<void> {
  if (etag && !etag.startsWith('W/')) await writeFile(etagOf(part), etag)
  else await rm(etagOf(part), { force: true })
}

async function append(
  answer: Response,
  part: string,
  start: number,
  whole: number | undefined,
  watch: Watchdog,
  options: DownloadOptions,
): Promise<number> {
  const { name = answer.url, onProgress } = options
  const file = await open(part, start > 0 ? 'r+' : 'w')
  let at = start
  try {
    for await (const piece of answer.body as unknown as AsyncIterable<Uint8Array>) {
      watch.alive()
      if (whole !== undefined && at + piece.length > whole) {
        await forget(part)
        throw broken(name, `more than the ${whole} bytes announced arrived`, { total: whole })
      }
      await file.write(piece, 0, piece.length, at)
      at += piece.length
      onProgress?.(at, whole)
    }
    return at
  } catch (cause) {
    if (cause instanceof AttuneError) throw cause
    throw broken(name, `the connection broke after ${at} bytes (${reasonOf(cause)})`, { got: at }, cause)
  } finally {
    await file.close()
  }
}

/** What is wrong with a finished file, if anything. */
async function verify(part: string, { sha256, gitId, signal, name = part }: DownloadOptions): Promise<string | undefined> {
  const digest = async (hash: Hash) => {
    for await (const piece of createReadStream(part)) {
      checkAbort(signal, `checking ${name}`)
      hash.update(piece)
    }
    return hash.digest('hex')
  }
  if (sha256) {
    const got = await digest(createHash('sha256'))
    return got === sha256 ? undefined : `sha256 is ${got}, not ${sha256}`
  }
  if (!gitId) return undefined
  const got = await digest(createHash('sha1').update(`blob ${await sizeOf(part)}\0`))
  return got === gitId ? undefined : `git id is ${got}, not ${gitId}`
}

async function pause(ms: number, signal: AbortSignal | undefined, name: string): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {
    throw abortError(signal!, `downloading ${name}`)
  })
}

interface Watchdog {
  signal: AbortSignal
  alive(): void
  stop(): void
}

/** A signal that also fires when nothing arrives for a while. */
function watchdog(ms: number, outer?: AbortSignal): Watchdog {
  const silence = new AbortController()
  const fire = () => silence.abort(new Error(`nothing arrived for ${ms} ms`))
  let timer = setTimeout(fire, ms)
  return {
    signal: outer ? AbortSignal.any([outer, silence.signal]) : silence.signal,
    alive() {
      clearTimeout(timer)
      timer = setTimeout(fire, ms)
    },
    stop: () => clearTimeout(timer),
  }
}
