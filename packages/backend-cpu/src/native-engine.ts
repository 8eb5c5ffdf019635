import type { LoadedAddon } from './addon.ts'
import type { Engine } from './engine.ts'
import { freeMemory } from './free-memory.ts'

const features: Record<string, readonly string[]> = {
  sse2: ['sse2'],
  avx2: ['sse2', 'avx2', 'fma', 'f16c'],
  avx512: ['sse2', 'avx2', 'fma', 'f16c', 'avx512', 'vnni'],
  neon: ['neon', 'fma'],
}

/** Opens the addon with one of its instruction sets. */
export async function nativeEngine({ addon, isas }: LoadedAddon, isa: string, threads: number): Promise<Engine> {
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
      return { address, unmap: () => addon.unmap(base, mapped), lost: () => addon.lost(base) }
    },
    async close() {
      addon.close(pool)
    },
  }
}

/** Smaller blocks are not worth asking the system about. */
const checkFrom = 32 * 2 ** 20
