import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DeviceBuffer } from '@attune/tensor'
import { afterAll, describe, expect, test } from 'vitest'
import { builds, openCpu } from '../test/devices.ts'
import { copyLaunch } from '../test/programs.ts'

const folder = mkdtempSync(join(tmpdir(), 'attune-map-'))
const path = join(folder, 'weights.bin')
const values = Float32Array.from({ length: 3_000_000 }, (_, i) => i)
writeFileSync(path, values)
afterAll(() => rmSync(folder, { recursive: true }))

describe.each(builds)('$name', ({ options }) => {
  test('a file is read where it lies', async () => {
    const device = await openCpu(options)
    const n = values.length - 5
    const file = await device.mapFile(path, 20)
    expect(file.bytes).toBe(4 * n)
    const out = device.alloc(4 * n)
    const program = await device.load({ launches: [copyLaunch(0, 1, n)], lengths: [], slots: 2 })
    await program.run([], [{ buffer: file, offset: 0 }, { buffer: out, offset: 0 }]) // biome-ignore format: short
    const got = new Float32Array((await device.read(out, 0, 4 * n)).buffer)
    expect(Buffer.compare(Buffer.from(got.buffer), Buffer.from(values.buffer, 20))).toBe(0)
    const part = await device.mapFile(path, 4000 * 4, 8)
    expect([...new Float32Array((await device.read(part, 0, 8)).buffer)]).toEqual([4000, 4001])
    device.free(part)
    device.free(file)
    await expect(device.read(file, 0, 4)).rejects.toThrow(/freed/)
    await expect(device.mapFile(path, 0, 12_000_001)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await expect(device.mapFile(join(folder, 'none'))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect((await device.mapFile(path, 12_000_000)).bytes).toBe(0)
    await device.close()
  })
})

test.skipIf(process.platform === 'win32')('a mapped file that becomes shorter is an error, not the end of the process', async () => {
  const device = await openCpu({ backend: 'native', threads: 2 })
  const short = join(folder, 'short.bin')
  writeFileSync(short, values)
  const [file, whole] = [await device.mapFile(short), await device.mapFile(path)]
  const out = device.alloc(file.bytes)
  const n = values.length
  const program = await device.load({ launches: [copyLaunch(0, 1, n)], lengths: [], slots: 2 })
  const slots = (buffer: DeviceBuffer) => [buffer, out].map(b => ({ buffer: b, offset: 0 }))
  await program.run([], slots(file))
  truncateSync(short, 5_000_000)
  const refused = { code: 'ERR_FORMAT', data: { path: short } }
  expect([...new Float32Array((await device.read(file, 40_000, 8)).buffer)]).toEqual([10_000, 10_001]) // still there
  await expect(program.run([], slots(file))).rejects.toMatchObject(refused)
  await expect(device.read(file, 11_000_000, 4)).rejects.toMatchObject(refused)
  await expect(device.mapFile(short, 0, 12_000_000)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  await program.run([], slots(whole)) // others are what they were
  expect([...new Float32Array((await device.read(out, 4 * n - 8, 8)).buffer)]).toEqual([n - 2, n - 1])
  device.free(file)
  const again = await device.mapFile(short)
  expect([...new Float32Array((await device.read(again, 4_999_996, 4)).buffer)]).toEqual([1_249_999])
  await device.close()
})

test('a mapped file cannot be written', async () => {
  const device = await openCpu({ backend: 'native' })
  const file = await device.mapFile(path)
  await expect(device.write(file, Uint8Array.of(1))).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
  const program = await device.load({ launches: [copyLaunch(0, 1, 4)], lengths: [], slots: 2 })
  await expect(
    program.run(
      [],
      [0, 1].map(() => ({ buffer: file, offset: 0 })),
    ),
  ).rejects.toThrow(/slot 1 is written/)
  await device.close()
})
