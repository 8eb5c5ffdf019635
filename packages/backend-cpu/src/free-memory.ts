/** A text file of the system, or undefined where there is none. */
type ReadText = (path: string) => string | undefined

/**
 * Bytes the system could still give this process: free or reclaimable memory, within the limits of its control groups. Infinity where
 * nothing is known (a browser). Pages of the file cache count as free: the system gives them up first.
 */
export function freeMemory(): number {
  if (typeof process !== 'object' || process.versions?.node === undefined) return Number.POSITIVE_INFINITY
  const fs = process.getBuiltinModule('fs')
  const os = process.getBuiltinModule('os')
  if (process.platform === 'linux') {
    const read: ReadText = path => {
      try {
        return fs.readFileSync(path, 'utf8')
      } catch {
        return undefined
      }
    }
    return Math.min(availableTo(read) ?? os.freemem(), roomInGroups(read))
  }
  // macOS calls little free that it would give: only what surely does not fit is refused there.
  return process.platform === 'win32' ? os.freemem() : os.totalmem() - process.memoryUsage.rss()
}

function availableTo(read: ReadText): number | undefined {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(read('/proc/meminfo') ?? '')?.[1]
  return kib === undefined ? undefined : Number(kib) * 1024
}

/** What is left under the tightest limit of the process's control groups and all above them, versions 1 and 2. */
export function roomInGroups(read: ReadText): number {
  let room = Number.POSITIVE_INFINITY
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, kinds, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (path === undefined || (kinds !== '' && !kinds.split(',').includes('memory'))) continue
    const files = kinds === '' ? second : first
    for (const folder of upwards(path)) room = Math.min(room, roomIn(`${files.root}${folder}`, files, read))
  }
  return room
}

const first = {
  root: '/sys/fs/cgroup/memory',
  most: 'memory.limit_in_bytes',
  now: 'memory.usage_in_bytes',
  cache: /^total_(?:in)?active_file (\d+)$/gm,
}
const second = { root: '/sys/fs/cgroup', most: 'memory.max', now: 'memory.current', cache: /^(?:in)?active_file (\d+)$/gm }

function roomIn(folder: string, { most, now, cache }: typeof first, read: ReadText): number {
  const limit = Number.parseInt(read(`${folder}/${most}`) ?? '', 10)
  const used = Number.parseInt(read(`${folder}/${now}`) ?? '', 10)
  if (!(limit < 2 ** 60) || Number.isNaN(used)) return Number.POSITIVE_INFINITY // 'max', or no such group here
  const files = [...(read(`${folder}/memory.stat`) ?? '').matchAll(cache)].reduce((sum, [, bytes]) => sum + Number(bytes), 0)
  return Math.max(0, limit - used + files)
}

/** `/a/b` → `/a/b`, `/a`, and the root as ``. */
const upwards = (path: string): string[] => {
  const names = path.split('/').filter(name => name !== '')
  return Array.from({ length: names.length + 1 }, (_, up) =>
    names
      .slice(0, names.length - up)
      .map(name => `/${name}`)
      .join(''),
  )
}
