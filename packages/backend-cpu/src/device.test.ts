import { describe, expect, test } from 'vitest'
import { builds, openCpu } from '../test/devices.ts'
import { copyLaunch, longProgram } from '../test/programs.ts'

const bytes = (n: number): Uint8Array => {
  const out = new Uint8Array(n)
  for (let i = 0; i < n; i++) out[i] = i * 31 + 1
  return out
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe.each(builds)('$name', ({ options }) => {
  test('memory is zero-filled, aligned, written and read by ranges', async () => {
    const device = await openCpu(options)
    for (const size of [0, 1, 63, 64, 65, 4096, 1_000_000]) {
      const b = device.alloc(size)
      expect(b.address % 64).toBe(0)
      expect(same(await device.read(b, 0, size), new Uint8Array(size))).toBe(true)
      await device.write(b, bytes(size))
      expect(same(await device.read(b, 0, size), bytes(size))).toBe(true)
      if (size > 3) {
        await device.write(b, Uint8Array.of(7, 8), 1)
        expect([...(await device.read(b, 0, 4))]).toEqual([bytes(4)[0], 7, 8, bytes(4)[3]])
      }
      device.free(b)
    }
    for (let i = 0; i < 50; i++) {
      const b = device.alloc(100 + i) // memory that was used before is cleared again
      expect(await device.read(b, 0, 100 + i)).toEqual(new Uint8Array(100 + i))
      await device.write(b, bytes(100 + i))
      device.free(b)
    }
    await device.close()
  })

  test('large copies are whole', async () => {
    const device = await openCpu(options)
    const data = bytes(33 * 2 ** 20)
    const b = device.alloc(data.byteLength)
    await device.write(b, data)
    expect(same(await device.read(b, 0, data.byteLength), data)).toBe(true)
    device.free(b)
    const again = device.alloc(data.byteLength)
    expect(same(await device.read(again, 0, data.byteLength), new Uint8Array(data.byteLength))).toBe(true)
    await device.close()
  })

  test('what cannot be allocated is refused with the bytes wanted and available', async () => {
    const device = await openCpu({ ...options, memory: 1 << 20 })
    expect(() => device.alloc(2 ** 21)).toThrow(/2097152 bytes wanted, 1048576 available/)
    const first = device.alloc(1 << 20)
    expect(() => device.alloc(1)).toThrow(expect.objectContaining({ code: 'ERR_OOM', data: { wanted: 1, available: 0 } }))
    device.free(first)
    device.alloc(1 << 20)
    await device.close()
    const open = await openCpu(options)
    expect(() => open.alloc(2 ** 50)).toThrow(expect.objectContaining({ code: 'ERR_OOM' }))
    expect(() => open.alloc(-1)).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }))
    await open.close()
  })

  test('calls take effect in order without being awaited', async () => {
    const device = await openCpu(options)
    const n = 3 * 2 ** 20
    const [a, b] = [device.alloc(4 * n), device.alloc(4 * n)]
    const program = await device.load({ launches: [copyLaunch(0, 1, n)], lengths: [], slots: 2 })
    const slots = [a, b].map(buffer => ({ buffer, offset: 0 }))
    const reads: Promise<Uint8Array>[] = []
    const all: Promise<unknown>[] = []
    for (let i = 1; i <= 4; i++) {
      all.push(device.write(a, new Uint8Array(4 * n).fill(i)), program.run([], slots))
      reads.push(device.read(b, 4 * n - 8, 8))
    }
    device.free(a) // after the last run
    await Promise.all(all)
    expect((await Promise.all(reads)).map(r => r[7])).toEqual([1, 2, 3, 4])
    await device.close()
  })

  test('wrong use is refused', async () => {
    const device = await openCpu(options)
    const other = await openCpu(options)
    const b = device.alloc(64)
    await expect(device.write(b, bytes(65))).rejects.toMatchObject({ code: 'ERR_SHAPE', data: { offset: 0, bytes: 65, have: 64 } })
    await expect(device.read(b, 60, 8)).rejects.toMatchObject({ code: 'ERR_SHAPE' })
    await expect(device.read(b, -1, 8)).rejects.toMatchObject({ code: 'ERR_SHAPE' })
    await expect(other.read(b, 0, 8)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    await other.close()
    const program = await device.load({ launches: [copyLaunch(0, 1, 16)], lengths: [], slots: 2 })
    const small = device.alloc(60)
    const view = (buffer: typeof b, offset = 0) => ({ buffer, offset })
    await expect(program.run([], [view(b), view(small)])).rejects.toMatchObject({ code: 'ERR_SHAPE' })
    await expect(program.run([], [view(b, 4), view(b)])).rejects.toMatchObject({ code: 'ERR_SHAPE' })
    await expect(program.run([1], [view(b), view(b)])).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    device.free(b)
    device.free(b)
    await expect(device.read(b, 0, 1)).rejects.toThrow(/was freed/)
    await expect(program.run([], [view(b), view(b)])).rejects.toThrow(/was freed/)
    program.dispose()
    program.dispose()
    await expect(program.run([], [view(small), view(small)])).rejects.toThrow(/disposed/)
    await device.close()
  })

  test('close ends what runs, twice is once, nothing works afterwards', async () => {
    const device = await openCpu(options)
    const { program, slots } = await longProgram(device, 20_000)
    const run = program.run([], slots)
    const ended = expect(run).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' })
    await new Promise(r => setTimeout(r, 20))
    const closing = device.close()
    expect(device.close()).toBe(closing)
    await Promise.all([closing, ended])
    expect(() => device.alloc(1)).toThrow(expect.objectContaining({ code: 'ERR_DEVICE_LOST' }))
    await expect(program.run([], slots)).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' })
    await expect(device.read(slots[0].buffer, 0, 1)).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' })
    program.dispose()
    await device.close()
  })
})

test('native memory is resident only once it is touched', async () => {
  const device = await openCpu({ backend: 'native' })
  const before = process.memoryUsage.rss()
  const b = device.alloc(512 * 2 ** 20)
  expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 2 ** 20)
  expect(b.bytes).toBe(512 * 2 ** 20)
  await device.close()
})
