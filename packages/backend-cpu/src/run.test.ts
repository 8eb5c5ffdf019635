import { length } from '@attune/tensor'
import { describe, expect, test } from 'vitest'
import { builds, openCpu } from '../test/devices.ts'
import { copyLaunch, longProgram } from '../test/programs.ts'

/** A fixed sequence of pseudo-random integers below `max`. */
const randoms = (seed: number) => (max: number) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor((seed / 2 ** 32) * max)
}

describe.each(builds)('$name', ({ options }) => {
  test.each([1, 2, 7])('every chunk of every launch runs once and in order, %i threads', async threads => {
    const device = await openCpu({ ...options, threads })
    const random = randoms(threads)
    const most = 120_000
    const count = 8
    const model = Array.from({ length: count }, (_, s) => Float32Array.from({ length: most }, (_, i) => s * most + i))
    const slots = model.map(() => ({ buffer: device.alloc(4 * most), offset: 0 }))
    for (const [s, { buffer }] of slots.entries()) await device.write(buffer, new Uint8Array(model[s].slice().buffer))
    const launches = Array.from({ length: 600 }, () => {
      const [from, to, n] = [random(count), random(count), random(4) === 0 ? random(100) : random(most)]
      if (from === to) return copyLaunch(from, to, 0)
      model[to].set(model[from].subarray(0, n))
      return copyLaunch(from, to, n)
    })
    const program = await device.load({ launches, lengths: [], slots: count })
    await program.run([], slots)
    for (const [s, { buffer }] of slots.entries()) {
      const got = new Float32Array((await device.read(buffer, 0, 4 * most)).buffer)
      expect(Buffer.compare(new Uint8Array(got.buffer), new Uint8Array(model[s].buffer))).toBe(0)
    }
    await device.close()
  })

  test('lengths and offsets are those of the run', async () => {
    const device = await openCpu(options)
    const [rows, width] = [length('rows', 8), length('width', 16)]
    const program = await device.load({
      launches: [{ ...copyLaunch(0, 1, 128), params: [{ product: [rows, width] }] }],
      lengths: [rows, width],
      slots: 3,
    })
    const from = device.alloc(1024)
    const to = device.alloc(1024)
    await device.write(from, new Uint8Array(Float32Array.from({ length: 256 }, (_, i) => i + 1).buffer))
    const unused = undefined as never
    await program.run([3, 5], [{ buffer: from, offset: 64 }, { buffer: to, offset: 32 }, unused])
    const got = new Float32Array((await device.read(to, 0, 1024)).buffer)
    expect([...got]).toEqual(Array.from({ length: 256 }, (_, i) => (i >= 8 && i < 23 ? i - 8 + 17 : 0)))
    await expect(program.run([9, 5], [])).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    await expect(program.run([9, 5], [{ buffer: from, offset: 0 }, { buffer: to, offset: 0 }, unused])).rejects.toThrow(
      "length 'rows' is 9, capacity 8",
    )
    await device.close()
  })

  test('an aborted run rejects with the reason, and the device goes on', async () => {
    const device = await openCpu(options)
    const { program, slots } = await longProgram(device, 20_000)
    const controller = new AbortController()
    const run = program.run([], slots, { signal: controller.signal })
    const ended = expect(run).rejects.toMatchObject({ code: 'ERR_ABORTED', cause: { message: 'enough' } })
    setTimeout(() => controller.abort(new Error('enough')), 30)
    await ended
    await expect(program.run([], slots, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    const short = await device.load({ launches: [copyLaunch(0, 1, 4)], lengths: [], slots: 2 })
    await short.run([], slots)
    await device.close()
  })

  test('profiles have a time per launch', async () => {
    const device = await openCpu(options)
    const n = 2 ** 20
    const slots = [0, 1].map(() => ({ buffer: device.alloc(4 * n), offset: 0 }))
    const program = await device.load({ launches: [copyLaunch(0, 1, 1), copyLaunch(0, 1, n)], lengths: [], slots: 2 })
    const profile = new Float64Array(2)
    const begin = performance.now()
    await program.run([], slots, { profile })
    const wall = (performance.now() - begin) * 1000
    expect(profile[1]).toBeGreaterThan(profile[0])
    expect(profile[0] + profile[1]).toBeLessThanOrEqual(wall)
    await device.close()
  })

  test('many runs may wait', async () => {
    const device = await openCpu(options)
    const slots = [0, 1].map(() => ({ buffer: device.alloc(64), offset: 0 }))
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => i + 1)
    await device.write(slots[0].buffer, bytes)
    const program = await device.load({ launches: [copyLaunch(0, 1, 16)], lengths: [], slots: 2 })
    await Promise.all(Array.from({ length: 3000 }, () => program.run([], slots)))
    expect(await device.read(slots[1].buffer, 0, 64)).toEqual(bytes)
    await device.close()
  })
})

test.each(builds.filter(b => b.name !== 'native'))(
  '$name: a kernel that leaves the heap loses the device, not the process',
  async ({ options }) => {
    const device = await openCpu({ ...options, threads: 2 })
    const slots = [0, 1].map(() => ({ buffer: device.alloc(64), offset: 0 }))
    const wrong = await device.load({ launches: [{ ...copyLaunch(0, 1, 16), params: [2 ** 30] }], lengths: [], slots: 2 })
    await expect(wrong.run([], slots)).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST', message: expect.stringContaining('out of bounds') })
    const right = await device.load({ launches: [copyLaunch(0, 1, 16)], lengths: [], slots: 2 })
    await expect(right.run([], slots)).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' })
    await device.close()
  },
)
