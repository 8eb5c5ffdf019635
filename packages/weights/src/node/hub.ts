import { AttuneError } from '@attune/tensor'
import { show } from '../error.ts'
import type { Folder } from '../folder.ts'
import { ask, httpSource } from '../http.ts'
import { isObject } from '../json.ts'

export interface HubOptions {
  /** Default `HF_ENDPOINT`, else https://huggingface.co. */
  endpoint?: string
  /** Default `HF_TOKEN`. */
  token?: string
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
  if (!parts || parts[1].includes('--') || parts[1].includes('..')) return undefined
  return { id: parts[1], revision: parts[2] ?? 'main', ...(parts[3] ? { file: parts[3] } : {}) }
}

/** Files of a repository and the commit they belong to. Errors: `ERR_NOT_FOUND`, `ERR_NETWORK` (also for gated models), `ERR_ABORTED`. */
export async function listHub(ref: HubRef, options: HubOptions = {}): Promise<HubListing> {
  const { endpoint, headers } = access(options)
  const url = `${endpoint}/api/models/${ref.id}/revision/${encodeURIComponent(ref.revision)}?blobs=true`
  const answer = await asHub(ref.id, options, () => askInTime(url, headers, ref.id, options))
  const body: unknown = await answer.json().catch(cause => {
    throw new AttuneError('ERR_NETWORK', `${ref.id}: ${url} did not answer with JSON`, { url }, cause)
  })
  if (!isObject(body) || typeof body.sha !== 'string' || !/^[0-9a-f]{7,64}$/.test(body.sha) || !Array.isArray(body.siblings))
    throw new AttuneError('ERR_NETWORK', `${ref.id}: ${url} did not answer with a listing`, { url })
  const commit = body.sha
  return { commit, files: body.siblings.map(file => readFile(file, ref.id, `${endpoint}/${ref.id}/resolve/${commit}`)) }
}

/** The repository as a folder read by ranges: nothing is downloaded but what is asked for. */
export async function hubFolder(ref: HubRef, options: HubOptions = {}): Promise<Folder> {
  const { files } = await listHub(ref, options)
  const { headers } = access(options)
  return {
    name: ref.id,
    files: files.map(({ name, size }) => ({ name, size: size ?? 0 })),
    async open(name, signal = options.signal) {
      const file = files.find(f => f.name === name)
      if (!file) throw new AttuneError('ERR_NOT_FOUND', `${ref.id} has no file ${name}`, { model: ref.id, file: name })
      return asHub(ref.id, options, () => httpSource(file.url, { name, headers, signal, fetch: options.fetch }))
    },
  }
}

/** Where to ask and as whom. */
export function access({ endpoint, token }: HubOptions): { endpoint: string; headers: Record<string, string> } {
  const bearer = token ?? process.env.HF_TOKEN
  return {
    endpoint: (endpoint ?? (process.env.HF_ENDPOINT || 'https://huggingface.co')).replace(/\/+$/, ''),
    headers: bearer ? { authorization: `Bearer ${bearer}` } : {},
  }
}

/** Says what to do where the hub refuses a model. */
export async function asHub<T>(id: string, options: HubOptions, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof AttuneError)) throw error
    const { status, reason } = error.data
    const { endpoint, headers } = access(options)
    const page = `${endpoint}/${id}`
    if (reason === 'GatedRepo')
      throw new AttuneError(
        'ERR_NETWORK',
        `${id} is gated: accept its terms at ${page}, then set HF_TOKEN to a token of that account`,
        { model: id, gated: true, status },
        error,
      )
    if (status === 401 || status === 403) {
      const hint = headers.authorization
        ? 'HF_TOKEN does not give access to it'
        : 'it may be private: set HF_TOKEN to a token that may read it'
      throw new AttuneError('ERR_NOT_FOUND', `${id} was not found at ${page}, or ${hint}`, { model: id, status, reason }, error)
    }
    throw error
  }
}

function readFile(file: unknown, id: string, base: string): HubFile {
  const name = isObject(file) ? file.rfilename : undefined
  const plain =
    typeof name === 'string' && !name.split('/').some(part => part === '' || part === '.' || part === '..') && !/[\\\0:]/.test(name)
  if (!isObject(file) || !plain)
    throw new AttuneError('ERR_NETWORK', `${id}: the listing names a file ${show(String(name))}`, { model: id, file: name })
  const lfs = isObject(file.lfs) ? file.lfs : {}
  return {
    name,
    size: whole(lfs.size) ?? whole(file.size),
    sha256: hex(lfs.sha256, 64),
    gitId: isObject(file.lfs) ? undefined : hex(file.blobId, 40),
    url: `${base}/${name.split('/').map(encodeURIComponent).join('/')}`,
  }
}

const PATIENCE = 20_000 // ms for a listing, so that the next source gets its turn

async function askInTime(
  url: string,
  headers: Record<string, string>,
  id: string,
  { signal, fetch: get = fetch }: HubOptions,
): Promise<Response> {
  const late = AbortSignal.timeout(PATIENCE)
  try {
    return await ask(get, url, { headers, signal: signal ? AbortSignal.any([signal, late]) : late }, id)
  } catch (error) {
    if (!late.aborted || signal?.aborted) throw error
    throw new AttuneError('ERR_NETWORK', `${id}: ${url} did not answer in ${PATIENCE / 1000} s`, { url }, error)
  }
}

const whole = (x: unknown): number | undefined => (Number.isSafeInteger(x) && (x as number) >= 0 ? (x as number) : undefined)
const hex = (x: unknown, length: number): string | undefined =>
  typeof x === 'string' && x.length === length && /^[0-9a-f]+$/.test(x) ? x : undefined
