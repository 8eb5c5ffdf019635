import { AttuneError } from '@attune/tensor'
import { show } from '../error.ts'
import type { Folder } from '../folder.ts'
import { ask, httpSource, piecesOf } from '../http.ts'
import { isObject } from '../json.ts'
import { patiently } from '../retry.ts'
import { access, type HubAccess } from './hub-settings.ts'

export interface HubOptions extends HubAccess {
  signal?: AbortSignal
  fetch?: typeof fetch
}

/** A repository at a branch, tag or commit; `file` picks one weight file of it. */
export interface HubRef {
  readonly id: string
  readonly revision: string
  readonly file?: string
}

export interface HubFile {
  readonly name: string
  readonly size?: number
  readonly sha256?: string
  readonly gitId?: string
  readonly url: string
}

export interface HubListing {
  readonly commit: string
  readonly files: readonly HubFile[]
}

/** Reads `org/name`, `org/name@revision`, `org/name:file.gguf`. Nothing else is a hub reference. */
export function parseHubRef(ref: string): HubRef | undefined {
  const parts = /^([A-Za-z0-9][\w.-]{0,95}(?:\/[A-Za-z0-9][\w.-]{0,95})?)(?:@([\w][\w./-]*?))?(?::([\w][\w./-]*))?$/.exec(ref)
  if (!parts || parts[1].includes('--') || ref.includes('..')) return undefined
  return { id: parts[1], revision: parts[2] ?? 'main', ...(parts[3] ? { file: parts[3] } : {}) }
}

/** Files of a repository and the commit they belong to. Errors: `ERR_NOT_FOUND`, `ERR_NETWORK` (also for gated models), `ERR_ABORTED`. */
export async function listHub(ref: HubRef, options: HubOptions = {}): Promise<HubListing> {
  const { endpoint } = access(options)
  const { id, revision } = ref
  return asHub(ref, options, async () => {
    const url = `${endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}?blobs=true`
    const { body } = await askJson(url, id, options)
    if (!isObject(body) || typeof body.sha !== 'string' || !/^[0-9a-f]{7,64}$/.test(body.sha) || !Array.isArray(body.siblings))
      throw new AttuneError('ERR_NETWORK', `${id}: ${url} did not answer with a listing`, { url })
    const commit = body.sha
    const base = `${endpoint}/${id}/resolve/${commit}`
    const files = body.siblings.map(file => sibling(file, id, base))
    if (files.every(f => f.size !== undefined)) return { commit, files }
    const tree = await listTree(`${endpoint}/api/models/${id}/tree/${commit}?recursive=true`, id, base, options)
    return { commit, files: tree ?? files }
  })
}

/** Page after page of a commit's files, for hubs whose short listing has no sizes; nothing where there is no such listing either. */
async function listTree(first: string, id: string, base: string, options: HubOptions): Promise<HubFile[] | undefined> {
  const files: HubFile[] = []
  let pages = 0
  for (let url: string | undefined = first; url !== undefined; ) {
    if (++pages > MAX_PAGES) throw new AttuneError('ERR_NETWORK', `${id}: ${first} goes on for more than ${MAX_PAGES} pages`, { url })
    const page: { body: unknown; next?: string } | undefined = await askJson(url, id, options).catch(error => {
      if (pages === 1 && error instanceof AttuneError && error.code === 'ERR_NOT_FOUND') return undefined
      throw error
    })
    if (!page) return undefined
    if (!Array.isArray(page.body)) throw new AttuneError('ERR_NETWORK', `${id}: ${url} did not answer with a listing`, { url })
    for (const entry of page.body) if (isObject(entry) && entry.type === 'file') files.push(treeFile(entry, id, base))
    url = page.next
  }
  return files
}

const MAX_PAGES = 1000

/** The repository as a folder read by ranges: nothing is downloaded but what is asked for. */
export const hubFolder = async (ref: HubRef, options: HubOptions = {}): Promise<Folder> =>
  hubFilesFolder(ref, (await listHub(ref, options)).files, options)

/** The same of some of its files. */
export function hubFilesFolder(ref: HubRef, files: readonly HubFile[], options: HubOptions): Folder {
  const { headers } = access(options)
  return {
    name: ref.id,
    files: files.map(({ name, size }) => ({ name, size: size ?? 0 })),
    async open(name, signal = options.signal) {
      const file = files.find(f => f.name === name)
      if (!file) throw new AttuneError('ERR_NOT_FOUND', `${ref.id} has no file ${name}`, { model: ref.id, file: name })
      return asHub(ref, options, () => httpSource(file.url, { name, headers, signal, fetch: options.fetch }))
    },
  }
}

/** Says what to do where the hub refuses a model. */
export async function asHub<T>({ id, revision }: HubRef, options: HubOptions, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof AttuneError)) throw error
    const { status, reason, said } = error.data
    const { endpoint, headers } = access(options)
    const page = `${endpoint}/${id}`
    const data = { model: id, status, reason }
    const refusal = (code: 'ERR_NETWORK' | 'ERR_NOT_FOUND', message: string, more = {}) =>
      new AttuneError(code, message, { ...data, ...more }, error)
    if (reason === 'GatedRepo')
      throw refusal(
        'ERR_NETWORK',
        headers.authorization
          ? `${id} is gated and the account of your HF_TOKEN has no access yet: accept its terms at ${page} with that account`
          : `${id} is gated: accept its terms at ${page}, then set HF_TOKEN to a token of that account`,
        { gated: true },
      )
    if (reason === 'DisabledRepo') throw refusal('ERR_NETWORK', `${id} was disabled by the hub: see ${page}`)
    if (reason === 'RevisionNotFound') throw refusal('ERR_NOT_FOUND', `${id} has no revision ${show(revision)}: see ${page}/tree/main`)
    if (status === 401 || status === 403 || (status === 404 && reason === 'RepoNotFound')) {
      const hint = headers.authorization
        ? `HF_TOKEN does not give access to it${typeof said === 'string' ? ` (${show(said)})` : ''}`
        : 'it may be private: set HF_TOKEN to a token that may read it'
      throw refusal('ERR_NOT_FOUND', `${id} was not found at ${page}, or ${hint}`)
    }
    if (status === 429 && !headers.authorization)
      throw refusal('ERR_NETWORK', `${error.message}; with HF_TOKEN set to a token of yours the hub allows more requests`)
    throw error
  }
}

function sibling(file: unknown, id: string, base: string): HubFile {
  if (!isObject(file)) throw new AttuneError('ERR_NETWORK', `${id}: the listing names ${show(String(file))}`, { model: id })
  const lfs = isObject(file.lfs) ? file.lfs : undefined
  const name = plainName(file.rfilename, id)
  return hubFile(name, base, { size: whole(lfs?.size) ?? whole(file.size), sha256: lfs?.sha256, gitId: lfs ? undefined : file.blobId })
}

function treeFile(file: Record<string, unknown>, id: string, base: string): HubFile {
  const lfs = isObject(file.lfs) ? file.lfs : undefined
  const name = plainName(file.path, id)
  return hubFile(name, base, { size: whole(lfs?.size) ?? whole(file.size), sha256: lfs?.oid, gitId: lfs ? undefined : file.oid })
}

const hubFile = (name: string, base: string, { size, sha256, gitId }: { size?: number; sha256: unknown; gitId: unknown }): HubFile => ({
  name,
  size,
  sha256: hex(sha256, 64),
  gitId: hex(gitId, 40),
  url: `${base}/${name.split('/').map(encodeURIComponent).join('/')}`,
})

/** A name that stays inside the folder it is written to, on every system. */
function plainName(name: unknown, id: string): string {
  const plain =
    typeof name === 'string' && !name.split('/').some(part => part === '' || part === '.' || part === '..') && !/[\\\0:]/.test(name)
  if (!plain) throw new AttuneError('ERR_NETWORK', `${id}: the listing names a file ${show(String(name))}`, { model: id, file: name })
  return name
}

const PATIENCE = 20_000 // ms for a listing, so that the next source gets its turn

/** A JSON answer and where the next page is. */
async function askJson(url: string, id: string, options: HubOptions): Promise<{ body: unknown; next?: string }> {
  const { headers } = access(options)
  const { signal, fetch: get = fetch } = options
  const late = AbortSignal.timeout(PATIENCE)
  const both = signal ? AbortSignal.any([signal, late]) : late
  try {
    const answer = await patiently(`asking for ${id}`, () => reached(ask(get, url, { headers, signal: both }, id)), { signal: both })
    const pieces: Uint8Array[] = []
    let bytes = 0
    for await (const piece of piecesOf(answer, id, both)) {
      bytes += piece.length
      if (bytes > MAX_JSON) throw new AttuneError('ERR_NETWORK', `${id}: ${url} answered with more than ${MAX_JSON} bytes`, { url })
      pieces.push(piece)
    }
    return { body: parse(Buffer.concat(pieces).toString(), url, id), next: nextPage(answer, url, id) }
  } catch (error) {
    if (!late.aborted || signal?.aborted) throw error
    throw new AttuneError('ERR_NETWORK', `${id}: ${url} did not answer in ${PATIENCE / 1000} s`, { url }, error)
  }
}

/** A hub that cannot be reached at all is not asked again: the next source gets its turn. */
const reached = (answer: Promise<Response>): Promise<Response> =>
  answer.catch(error => {
    if (error instanceof AttuneError && error.data.retry === true && error.data.status === undefined)
      throw new AttuneError(error.code, error.message, { ...error.data, retry: false }, error.cause)
    throw error
  })

const MAX_JSON = 64 << 20

function parse(text: string, url: string, id: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AttuneError('ERR_NETWORK', `${id}: ${url} did not answer with JSON`, { url, begins: text.slice(0, 80) }, cause)
  }
}

/** The `Link` of an answer; a page elsewhere would be sent the token. */
function nextPage(answer: Response, url: string, id: string): string | undefined {
  const link = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(answer.headers.get('link') ?? '')?.[1]
  if (link === undefined) return undefined
  const next = new URL(link, url)
  if (next.origin !== new URL(url).origin)
    throw new AttuneError('ERR_NETWORK', `${id}: ${url} continues on another host, ${next.origin}`, { url, next: next.href })
  return next.href
}

const whole = (x: unknown): number | undefined => (Number.isSafeInteger(x) && (x as number) >= 0 ? (x as number) : undefined)
const hex = (x: unknown, length: number): string | undefined =>
  typeof x === 'string' && x.length === length && /^[0-9a-f]+$/.test(x) ? x : undefined
