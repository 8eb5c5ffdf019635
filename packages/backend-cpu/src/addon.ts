/** native/addon.cpp */
export interface Addon {
  isas(): { name: string; built: boolean; supported: boolean; kernels: string[] }[]
  open(isa: number, threads: number, ended: (job: number, status: number) => void): number
  close(pool: number): void
  threads(pool: number): number
  hold(pool: number, on: number): void
  submit(pool: number, job: number): void
  abort(job: number): void
  alloc(bytes: number): number
  free(address: number, bytes: number): void
  copyIn(address: number, bytes: Uint8Array): void
  copyOut(address: number, into: Uint8Array): void
  zero(address: number, bytes: number): void
  map(path: string, offset: number, bytes: number): [data: number, base: number, mapped: number]
  unmap(base: number, mapped: number): void
  lost(base: number): boolean
}

export interface NativeIsa {
  readonly name: string
  readonly built: boolean
  readonly supported: boolean
}

export interface LoadedAddon {
  readonly addon: Addon
  /** Instruction sets, best first. */
  readonly isas: ReturnType<Addon['isas']>
  /** The package or the file it came from. */
  readonly from: string
}

/**
 * Loads the addon: the file that ATTUNE_ADDON names, else the build of this clone, else the package prebuilt for this platform. Throws
 * saying what each of them lacked.
 */
export async function loadAddon(): Promise<LoadedAddon> {
  const { createRequire } = await import(/* @vite-ignore */ nodeModule('module'))
  const { fileURLToPath } = await import(/* @vite-ignore */ nodeModule('url'))
  const { existsSync } = await import(/* @vite-ignore */ nodeModule('fs'))
  const here = import.meta.url // apart from `new URL`, so that bundlers of pages do not take the addon along
  const require = createRequire(here)
  const open = (path: string, from: string): LoadedAddon => {
    const addon = require(path) as Addon
    return { addon, isas: addon.isas(), from }
  }
  if (process.env.ATTUNE_ADDON) return open(process.env.ATTUNE_ADDON, process.env.ATTUNE_ADDON)
  const own = fileURLToPath(new URL(`../dist/native/${process.platform}-${process.arch}.node`, here))
  const why: string[] = []
  try {
    if (existsSync(own)) return open(own, own)
  } catch (cause) {
    why.push(firstLine(cause))
  }
  try {
    const name = prebuiltPackage()
    const [theirs, ours] = [name, '..'].map(place => require(`${place}/package.json`))
    if (theirs.version !== ours.version) throw new Error(`${name} is version ${theirs.version}, @attune/backend-cpu is ${ours.version}`)
    return open(name, name)
  } catch (cause) {
    why.push(firstLine(cause))
    throw new Error((await whyNotBuilt(own)) ?? why.join('; '), { cause })
  }
}

/** The optional package with the addon for this platform; build/prebuilt.mjs makes them. */
export function prebuiltPackage(): string {
  return ['@attune/backend-cpu', process.platform, process.arch, ...(process.platform === 'linux' ? [libc()] : [])].join('-')
}

/** Which C library this Node runs on: the addons for glibc and for musl differ. */
function libc(): 'gnu' | 'musl' {
  const { report } = process as unknown as {
    report?: { excludeNetwork: boolean; getReport(): { header: { glibcVersionRuntime?: string } } }
  }
  if (!report) return 'gnu'
  report.excludeNetwork = true // it would look up the names of open connections
  return report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl'
}

/** What build/build.mjs said when it could not build the addon in this clone. */
async function whyNotBuilt(path: string): Promise<string | undefined> {
  const { readFile } = await import(/* @vite-ignore */ nodeModule('fs/promises'))
  return readFile(`${path}.missing.txt`, 'utf8').catch(() => undefined)
}

/** Hidden from bundlers: a page never gets here. */
export const nodeModule = (name: string): string => `node:${name}`

export const firstLine = (error: unknown): string => String(error instanceof Error ? error.message : error).split('\n')[0]
