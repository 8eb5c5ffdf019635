import type { Engine } from './engine.ts'
import { freeMemory } from './free-memory.ts'

/** native/addon.cpp */
interface Addon {
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
}

export interface NativeIsa {
  readonly name: string
  readonly built: boolean
  readonly supported: boolean
}

/** Instruction sets of the addon, best first. Throws when there is no addon for this platform. */
export async function loadAddon(): Promise<{ addon: Addon; isas: ReturnType<Addon['isas']> }> {
  const { createRequire } = await import(/* @vite-ignore */ nodeModule('module'))
  const { fileURLToPath } = await import(/* @vite-ignore */ nodeModule('url'))
  const here = import.meta.url // apart from `new URL`, so that bundlers of pages do not take the addon along
  const path = fileURLToPath(new URL(`../dist/native/${process.platform}-${process.arch}.node`, here))
  try {
    const addon = createRequire(import.meta.url)(path) as Addon
    return { addon, isas: addon.isas() }
  } catch (cause) {
    throw new Error((await whyMissing(path)) ?? String(cause), { cause })
  }
}

/** What build/build.mjs said when it could not build the addon. */
async function whyMissing(path: string): Promise<string | undefined> {
  const { readFile } = await import(/* @vite-ignore */ nodeModule('fs/promises'))
  return readFile(`${path}.missing.txt`, 'utf8').catch(() => undefined)
}

/** Hidden from bundlers: a page never gets here. */
export const nodeModule = (name: string): string => `node:${name}`

const features: Record<string, readonly string[]> = {
  sse2: ['sse2'],
  avx2: ['sse2', 'avx2', 'fma', 'f16c'],
  avx512: ['sse2', 'avx2', 'fma', 'f16c', 'avx512', 'vnni'],
  neon: ['neon', 'fma'],
}

/** Opens the addon with one instruction set of `isas()`. */
export async function nativeEngine(isa: string, threads: number): Promise<Engine> {
  const { addon, isas } = await loadAddon()
  const index = isas.findIndex(i => i.name === isa)
  const running = new Map<number, (aborted: boolean) => void>()
  const pool = addon.open(index, threads, (job, status) => {
    const ended = running.get(job)
    running.delete(job)
    if (running.size === 0) addon.hold(pool, 0)
    ended?.(status !== 0)
  })
  return {
    kind: 'native',
    isa,
    features: ['native', ...features[isa]],
    threads: addon.threads(pool),
    kernels: isas[index].kernels,
    maxBufferBytes: 2 ** 47,
    available: freeMemory,
    alloc(bytes) {
      if (bytes > checkFrom && bytes > freeMemory()) return undefined // the system would promise what it does not have
      const address = addon.alloc(bytes)
      return address === 0 ? undefined : { address, dirty: 0 }
    },
    free: (address, bytes) => addon.free(address, bytes),
    copyIn: (address, bytes) => addon.copyIn(address, bytes),
    copyOut: (address, into) => addon.copyOut(address, into),
    zero: (address, bytes) => addon.zero(address, bytes),
    submit(job, ended) {
      if (running.size === 0) addon.hold(pool, 1)
      running.set(job, ended)
      addon.submit(pool, job)
    },
    abort: job => addon.abort(job),
    map(path, offset, bytes) {
      const [address, base, mapped] = addon.map(path, offset, bytes)
      return { address, unmap: () => addon.unmap(base, mapped) }
    },
    async close() {
      addon.close(pool)
    },
  }
}

/** Smaller blocks are not worth asking the system about. */
const checkFrom = 32 * 2 ** 20
