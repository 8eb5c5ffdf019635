import { describe, expect, test } from 'vitest'
import { builds, openCpu } from '../test/devices.ts'
import { lateness } from '../test/lateness.ts'
import { copyLaunch, longProgram } from '../test/programs.ts'

/** The least of three: other processes disturb some attempts, what the device does shows in all. */
const least = async (measure: () => Promise<number>): Promise<number> => Math.min(await measure(), await measure(), await measure())

describe.each(builds)('$name', ({ options }) => {
  test('an abort ends a long program within 100 ms', async () => {
    const device = await openCpu(options)
    const { program, slots } = await longProgram(device, 20_000)
    const delay = async () => {
      const controller = new AbortController()
      let at = 0
      setTimeout(() => {
        at = performance.now()
        controller.abort()
      }, 30)
      await expect(program.run([], slots, { signal: controller.signal })).rejects.toMatchObject({ code: 'ERR_ABORTED' })
      return performance.now() - at
    }
    expect(await least(delay)).toBeLessThan(100)
    await device.close()
  })

  test('the event loop turns during runs, writes and reads', async () => {
    const device = await openCpu(options)
    const { program, slots } = await longProgram(device, 400)
    const big = device.alloc(96 * 2 ** 20)
    const data = new Uint8Array(big.bytes)
    const work = async () => {
      await program.run([], slots)
      await device.write(big, data)
      await device.read(big, 0, big.bytes)
      const end = performance.now() + 100
      while (performance.now() < end) await device.write(big, data.subarray(0, 1024)) // small, but without a pause
      const short = await device.load({ launches: [copyLaunch(0, 1, 4)], lengths: [], slots: 2 })
      const until = performance.now() + 100
      while (performance.now() < until) await short.run([], slots)
    }
    expect(await least(() => lateness(work))).toBeLessThan(50)
    await device.close()
  })
})
