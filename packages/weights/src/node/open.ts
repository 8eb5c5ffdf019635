import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { AttuneError } from '@attune/tensor'
import type { Checkpoint } from '../checkpoint.ts'
import { checkAbort } from '../error.ts'
import type { Folder } from '../folder.ts'
import { openCheckpoint } from '../open.ts'
import { cacheRoot } from './cache.ts'
import { chooseFiles } from './choose.ts'
import { diskFolder, fileFolder } from './folder.ts'
import { type HubRef, hubFolder, parseHubRef } from './hub.ts'
import { type HubAccess, isOffline } from './hub-settings.ts'
import { PACKAGED_MODELS, type PackagedModel } from './packages.ts'
import { MODEL_SOURCES, type ModelSource } from './sources.ts'
import { hubRefOfUrl, urlFolder } from './url.ts'

/** What is being done to get a model. `skip` says why a source has none; `error` is there when it failed rather than lacked it. */
export type ModelEvent =
  | { readonly kind: 'try'; readonly source: string; readonly model: string }
  | { readonly kind: 'skip'; readonly source: string; readonly model: string; readonly why: string; readonly error?: AttuneError }
  | { readonly kind: 'progress'; readonly source: string; readonly file: string; readonly loaded: number; readonly total?: number }
  | { readonly kind: 'found'; readonly source: string; readonly model: string }

/** Where to look for a model, and who is told of it. */
export interface OpenOptions extends HubAccess {
  /** Folder to keep models in; default `ATTUNE_CACHE`, else ~/.cache/attune. */
  cache?: string
  signal?: AbortSignal
  onProgress?(event: ModelEvent): void
  /** No network; default on when `HF_HUB_OFFLINE` is set. */
  offline?: boolean
  /** Read a hub model by ranges where it is, without downloading it: for looking at headers. */
  remote?: boolean
  /** Told of a hub model by its headers alone before its weights are downloaded; what it throws stops that. */
  check?(headers: Checkpoint): void | Promise<void>
  /** Places to look for a hub id, in order; default cache, hub, package. */
  sources?: readonly ModelSource[]
  packages?: Readonly<Record<string, PackagedModel>>
  /** Python for packages; default `PYTHON`, else python3, then python. */
  python?: string
  fetch?: typeof fetch
}

/**
 * Opens a model by reference: a folder, a .gguf or .safetensors file, a hub id (`org/name`, `org/name@revision`, `org/name:file.gguf`) or
 * its address, `package:NAME`, or the address of a weight file, which is read by ranges where it lies. Headers are read, tensors are not. Errors: `ERR_NOT_FOUND`, `ERR_NETWORK`, `ERR_FORMAT`, `ERR_UNSUPPORTED`, `ERR_ABORTED`.
 */
export async function openModel(ref: string, options: OpenOptions = {}): Promise<Checkpoint> {
  return openCheckpoint(await locateModel(ref, options), options.signal)
}

/** Finds a model's files, fetching them where need be. */
export async function locateModel(ref: string, options: OpenOptions = {}): Promise<Folder> {
  checkAbort(options.signal, `opening ${ref}`)
  const packages = options.packages ?? PACKAGED_MODELS
  const offline = options.offline ?? isOffline()
  const info = await stat(ref).catch(() => undefined)
  if (info?.isDirectory()) return diskFolder(ref)
  if (info?.isFile()) return fileFolder(ref)
  const isUrl = /^https?:\/\//.test(ref)
  const hubRef = isUrl ? hubRefOfUrl(ref, options) : hubRefOf(ref, packages)
  if (isUrl && !hubRef) {
    if (offline) throw new AttuneError('ERR_NOT_FOUND', `${ref} cannot be read offline`, { model: ref })
    return urlFolder(ref, options)
  }
  if (!hubRef)
    throw new AttuneError('ERR_NOT_FOUND', `${ref} is no folder or file at ${resolve(ref)}, and no hub id (org/name)`, {
      model: ref,
      path: resolve(ref),
    })
  if (options.remote && !offline) {
    const folder = await hubFolder(hubRef, options)
    return { ...folder, files: chooseFiles(hubRef.id, folder.files, hubRef.file) }
  }
  const sources = (options.sources ?? MODEL_SOURCES).filter(s => !ref.startsWith('package:') || s.name !== 'hub')
  return search(hubRef, sources, { ...options, offline, packages })
}

/** The repository that a hub id or the name of a package means. */
function hubRefOf(ref: string, packages: Readonly<Record<string, PackagedModel>>): HubRef | undefined {
  const id = ref.startsWith('package:') ? Object.keys(packages).find(k => packages[k].package === ref.slice(8)) : ref
  const isPath = /^[./~]|\\/.test(ref) || /^[^:]*\.(gguf|safetensors)$/.test(ref)
  return id === undefined || isPath ? undefined : parseHubRef(id)
}

async function search(ref: HubRef, sources: readonly ModelSource[], options: OpenOptions & { offline: boolean }): Promise<Folder> {
  const { onProgress, check } = options
  let refused = false // by the caller: no other source is asked
  const model = ref.id
  const refusals: { source: string; why: string; error?: AttuneError }[] = []
  for (const place of sources) {
    const source = place.name
    onProgress?.({ kind: 'try', source, model })
    const context = {
      ...options,
      cache: cacheRoot(options.cache),
      check:
        check &&
        (async (headers: Checkpoint) => {
          refused = true
          await check(headers)
          refused = false
        }),
      progress: (file: string, loaded: number, total: number | undefined) =>
        onProgress?.({ kind: 'progress', source, file, loaded, total }),
    }
    const found = await place.find(ref, context).catch((error: unknown) => {
      if (error instanceof AttuneError && error.code !== 'ERR_ABORTED' && !refused) return error
      throw error
    })
    if (!(found instanceof AttuneError) && typeof found !== 'string') {
      onProgress?.({ kind: 'found', source, model })
      return found
    }
    const error = found instanceof AttuneError ? found : undefined
    const why = error ? error.message : (found as string)
    refusals.push({ source, why, error })
    onProgress?.({ kind: 'skip', source, model, why, error })
  }
  const first = refusals.find(r => r.error)?.error
  const reasons = refusals.map(r => `${r.source}: ${r.why}`).join('; ')
  throw new AttuneError(
    first?.code ?? 'ERR_NOT_FOUND',
    `${model} could not be had (${reasons})`,
    { ...first?.data, model, refusals: refusals.map(({ source, why }) => ({ source, why })) },
    first,
  )
}
