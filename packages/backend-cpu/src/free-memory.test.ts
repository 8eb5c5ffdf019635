import { totalmem } from 'node:os'
import { expect, test } from 'vitest'
import { freeMemory, roomInGroups } from './free-memory.ts'

const from = (files: Record<string, string>) => roomInGroups(path => files[path])

test('the tightest group counts, and the file cache is free', () => {
  const two = {
    '/proc/self/cgroup': '0::/a/b\n',
    '/sys/fs/cgroup/a/b/memory.max': 'max\n',
    '/sys/fs/cgroup/a/b/memory.current': '5\n',
    '/sys/fs/cgroup/a/memory.max': '1000\n',
    '/sys/fs/cgroup/a/memory.current': '900\n',
    '/sys/fs/cgroup/a/memory.stat': 'anon 100\nfile 790\ninactive_file 500\nactive_file 200\nslab 10\n',
  }
  expect(from(two)).toBe(800)
  expect(from({ ...two, '/sys/fs/cgroup/memory.max': '700', '/sys/fs/cgroup/memory.current': '650' })).toBe(50)
  const one = {
    '/proc/self/cgroup': '11:cpu,cpuacct:/x\n4:memory:/docker/77\n',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    '/sys/fs/cgroup/memory/memory.usage_in_bytes': '123456\n',
    '/sys/fs/cgroup/memory/docker/77/memory.limit_in_bytes': '4096\n',
    '/sys/fs/cgroup/memory/docker/77/memory.usage_in_bytes': '4000\n',
    '/sys/fs/cgroup/memory/docker/77/memory.stat': 'cache 9\nactive_file 1\ntotal_inactive_file 96\ntotal_active_file 4\n',
  }
  expect(from(one)).toBe(196)
  expect(from({ '/proc/self/cgroup': '4:memory:/gone\n' })).toBe(Number.POSITIVE_INFINITY)
  expect(from({})).toBe(Number.POSITIVE_INFINITY)
})

test('this machine has some memory free', () => {
  expect(freeMemory()).toBeGreaterThan(2 ** 24)
  expect(freeMemory()).toBeLessThanOrEqual(totalmem())
})
