import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AttuneError } from '@attune/tensor'
import { checkAbort } from '../error.ts'
import { ask, piecesOf } from '../http.ts'
import { type Patience, passing, patiently } from '../retry.ts'

export interface DownloadOptions extends Pick<Patience, 'attempts' | 'waitMs'> {
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
  /** Silence after which a connection counts as broken (default 30 s). */
  stallMs?: number
}

/**
 * Downloads a file to `path`: into `path.part` first, going on where an earlier try stopped, checked, then renamed.
 * Errors: `ERR_NETWORK`, `ERR_NOT_FOUND`, `ERR_FORMAT` (checksum), `ERR_ABORTED`.
 */
export async function download(url: string, path: string, options: DownloadOptions = {}): Promise<void> {
  const { name = url, attempts, waitMs, signal } = options
  const part = `${path}.part`
  await mkdir(dirname(path), { recursive: true })
  const patience: Patience = { attempts, waitMs, signal, progress: () => sizeOf(part) }
  for (let first = true; ; first = false) {
    const before = await sizeOf(part)
    await patiently(`downloading ${name}`, async () => fetchRest(url, part, await sizeOf(part), options), patience)
    const wrong = await verify(part, options)
    if (!wrong) break
    await forget(part)
    // What an earlier run left may have been damaged: once more from the start.
    if (!first || before === 0) throw new AttuneError('ERR_FORMAT', `${name}: ${wrong}`, { file: name, field: 'content', offset: 0, url })
  }
  await rename(part, path).catch(async error => {
    if ((await sizeOf(path)) === 0 || error.code !== 'ENOENT') throw error // else another process, at the same file, was first
  })
  await rm(etagOf(part), { force: true })
}

const etagOf = (part: string): string => `${part}.etag`

async function forget(part: string): Promise<void> {
  await rm(part, { force: true })
  await rm(etagOf(part), { force: true })
}

const sizeOf = async (path: string): Promise<number> => (await stat(path).catch(() => undefined))?.size ?? 0

/** One request for what is missing. Returns when the file is whole; throws with `retry` where another try may help. */
async function fetchRest(url: string, part: string, have: number, options: DownloadOptions): Promise<void> {
  const { name = url, size, headers = {}, fetch: get = fetch, stallMs = 30_000 } = options
  if (size !== undefined && have === size) return
  if (size !== undefined && have > size) {
    await forget(part)
    have = 0
  }
  const etag = await readFile(etagOf(part), 'utf8').catch(() => undefined)
  if (have > 0 && !etag && !options.sha256 && !options.gitId) have = 0 // nothing would tell whether the rest belongs to it
  const watch = watchdog(stallMs, options.signal)
  try {
    const range = have > 0 ? { range: `bytes=${have}-`, ...(etag ? { 'if-range': etag } : {}) } : {}
    const init = { headers: { ...headers, ...range, 'accept-encoding': 'identity' }, signal: watch.signal }
    const answer = await ask(get, url, init, name, [416]).catch(error => {
      if (!watch.signal.aborted || options.signal?.aborted) throw error
      throw passing(`${name}: ${url} did not answer in ${stallMs} ms`, { url }, error)
    })
    if (answer.status === 416) {
      await answer.body?.cancel()
      if (answer.headers.get('content-range') === `bytes */${have}` && (size ?? have) === have) return
      await forget(part)
      throw passing(`${name}: the server has no bytes from ${have} on`, { url, have })
    }
    const { start, total } = placeOf(answer, have)
    if (start === undefined || (size !== undefined && total !== undefined && total !== size)) {
      await answer.body?.cancel()
      if (have > 0) await forget(part)
      throw passing(`${name}: the server sends ${total} bytes from ${start}; ${size ?? 'the rest'} from ${have} was expected`, {
        url,
        start,
        total,
        size,
      })
    }
    if (start === 0) await forget(part) // before a new etag stands beside it
    await saveEtag(part, answer.headers.get('etag'))
    const whole = size ?? total
    const got = await append(answer, part, start, whole, watch, options)
    if (whole !== undefined && got !== whole) throw passing(`${name}: ${got} of ${whole} bytes arrived`, { url, got, total: whole })
  } finally {
    watch.stop()
  }
}

/** Where an answer's bytes belong and how long the whole file is. */
function placeOf(answer: Response, have: number): { start?: number; total?: number } {
  const length = answer.headers.has('content-encoding') ? null : answer.headers.get('content-length')
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
    for await (const piece of piecesOf(answer, name, options.signal)) {
      watch.alive()
      if (whole !== undefined && at + piece.length > whole) {
        await forget(part)
        throw passing(`${name}: more than the ${whole} bytes announced arrived`, { total: whole })
      }
      for (let done = 0; done < piece.length; ) done += (await file.write(piece, done, piece.length - done, at + done)).bytesWritten
      at += piece.length
      onProgress?.(at, whole)
    }
    return at
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
