import { type DeviceBuffer, type Launch, type Length, length, type SlotView } from '@attune/tensor'
import { afterAll, describe, expect, test } from 'vitest'
import type { WebGpuDevice } from '../src/index.ts'
import { webgpu } from '../src/node.ts'
import { shareBindings } from '../src/pipelines.ts'
import { gridOf, kernelText, paramValue } from '../src/wgsl/text.ts'
import { openWebGpu, whyNoVulkan } from './open.ts'

const bytes = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => i * 31 + 1)
const view = (buffer: DeviceBuffer, offset = 0): SlotView => ({ buffer, offset })
const numbers = (b: Uint8Array): number[] => [...new Int32Array(b.slice().buffer)]

/** y[i] = sum of the inputs at i, plus one. */
function addOne(from: readonly SlotPart[], to: SlotPart, n: number | Length): Launch {
  const reads = from.map((_, i) => `x${i}(at)`).join(' + ')
  return {
    op: 'addOne',
    text: kernelText({
      operands: [...from.map((_, i) => ({ name: `x${i}`, dtype: 'i32' as const })), { name: 'y', dtype: 'i32', write: true }],
      uniforms: [{ name: 'n', type: 'u32', value: n }],
      main: `let at = group * 64u + lane;\nif (at < u.n) { put_y(at, ${reads} + 1i); }`,
    }),
    bind: [...from.map(p => part(p, n, false)), part(to, n, true)],
    params: [n],
    threadScratch: 0,
    grid: gridOf(values => Math.ceil(paramValue(n, values) / 64)),
  }
}
type SlotPart = readonly [slot: number, offset: number]
const part = ([slot, offset]: SlotPart, n: number | Length, write: boolean) => ({
  ...{ slot, offset, write },
  bytes: 4 * (typeof n === 'number' ? n : n.max),
})

describe.skipIf(whyNoVulkan)(`Dawn on SwiftShader${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, () => {
  const opened = whyNoVulkan ? undefined : openWebGpu()
  const open = async (): Promise<WebGpuDevice> => (await opened)!
  afterAll(async () => (await opened)?.close())
  const filled = async (device: WebGpuDevice, values: readonly number[]): Promise<DeviceBuffer> => {
    const b = device.alloc(4 * values.length)
    await device.write(b, new Uint8Array(Int32Array.from(values).buffer))
    return b
  }

  test('memory is zero-filled, written and read by any ranges', async () => {
    const device = await open()
    for (const size of [0, 1, 2, 3, 4, 63, 64, 65, 4099]) {
      const b = device.alloc(size)
      expect(b.bytes).toBe(size)
      expect(await device.read(b, 0, size)).toEqual(new Uint8Array(size))
      await device.write(b, bytes(size))
      expect(await device.read(b, 0, size)).toEqual(bytes(size))
      device.free(b)
    }
    const want = bytes(40)
    const b = device.alloc(40)
    await device.write(b, want)
    for (const [offset, count] of [
      [1, 1],
      [2, 5],
      [3, 1],
      [7, 9],
      [17, 3],
      [5, 30],
      [39, 1],
    ]) {
      // biome-ignore format: ranges
      const patch = bytes(count).map(x => x ^ 0x5a)
      want.set(patch, offset)
      await device.write(b, patch, offset)
      expect(await device.read(b, 0, 40), `${count} bytes at ${offset}`).toEqual(want)
      expect(await device.read(b, offset, count)).toEqual(patch)
    }
    device.free(b)
  })

  test('calls take effect in order without being awaited', async () => {
    const device = await open()
    const [a, b] = [device.alloc(4000), device.alloc(4000)]
    const program = await device.load({ launches: [addOne([[0, 0]], [1, 0], 1000)], lengths: [], slots: 2 })
    const all: Promise<unknown>[] = []
    const reads: Promise<Uint8Array>[] = []
    for (let i = 1; i <= 4; i++) {
      all.push(device.write(a, new Uint8Array(Int32Array.from({ length: 1000 }, () => i).buffer)), program.run([], [view(a), view(b)]))
      reads.push(device.read(b, 3996, 4))
    }
    device.free(a) // after the last run
    await Promise.all(all)
    expect((await Promise.all(reads)).map(r => r[0])).toEqual([2, 3, 4, 5])
    program.dispose()
  })

  test('one buffer in several slots, read and written in one launch', async () => {
    const device = await open()
    const program = await device.load({ launches: [addOne([[0, 0], [1, 64]], [2, 0], 8)], lengths: [], slots: 3 }) // biome-ignore format: slots
    const b = await filled(
      device,
      Array.from({ length: 64 }, (_, i) => i),
    )
    const other = await filled(device, new Array(64).fill(100))
    await program.run([], [view(b), view(b), view(b, 128)])
    expect(numbers(await device.read(b, 128, 32))).toEqual([17, 19, 21, 23, 25, 27, 29, 31])
    await program.run([], [view(b), view(other), view(b, 128)]) // rebound: two of three slots share
    expect(numbers(await device.read(b, 128, 32))).toEqual([101, 102, 103, 104, 105, 106, 107, 108])
    await program.run([], [view(b), view(other), view(other, 128)])
    expect(numbers(await device.read(other, 128, 32))).toEqual([101, 102, 103, 104, 105, 106, 107, 108])
    expect(numbers(await device.read(b, 0, 32))).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    program.dispose()
  })

  test('more operands than the API binds, on default limits', async () => {
    await open() // SwiftShader is in use
    const { create } = (await import('webgpu')) as unknown as { create(flags: string[]): any }
    const gpu = create(['backend=vulkan'])
    const device = await webgpu({ gpu, device: await (await gpu.requestAdapter()).requestDevice() })
    expect(device.gpu.limits.maxStorageBuffersPerShaderStage).toBe(8)
    const n = length('n', 16)
    const inputs = Array.from({ length: 20 }, (_, i) => [i, 4 * i] as const)
    const launch = addOne(inputs, [20, 0], n)
    const program = await device.load({ launches: [launch], lengths: [n], slots: 21 })
    const slots = await Promise.all(inputs.map(([slot]) => filled(device, new Array(16 + slot).fill(slot))))
    const out = await filled(device, new Array(16).fill(-1))
    for (const count of [5, 16, 0]) {
      await device.write(out, new Uint8Array(64).fill(255))
      await program.run(
        [count],
        [...slots, out].map(b => view(b)),
      )
      expect(numbers(await device.read(out, 0, 64))).toEqual(Array.from({ length: 16 }, (_, i) => (i < count ? 191 : -1)))
    }
    const compiled = device.pipelines.size
    await device.write(slots[3], new Uint8Array(Int32Array.of(1003).buffer), 12) // packed anew at each run
    await program.run(
      [1],
      [...slots, out].map(b => view(b)),
    )
    expect(numbers(await device.read(out, 0, 4))).toEqual([1191])
    expect(device.pipelines.size).toBe(compiled)
    await device.close()
  })

  test('an abort stops what is not submitted yet', async () => {
    const device = await open()
    const [a, b] = [await filled(device, [0]), await filled(device, [0])]
    const launches = Array.from({ length: 200 }, (_, i) => addOne([[i % 2, 0]], [1 - (i % 2), 0], 1))
    const program = await device.load({ launches, lengths: [], slots: 2 })
    const slots = [view(a), view(b)]
    await expect(program.run([], slots, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    const controller = new AbortController()
    const run = program.run([], slots, { signal: controller.signal })
    controller.abort()
    await expect(run).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    await device.write(a, new Uint8Array(4))
    const profile = new Float64Array(200)
    await program.run([], slots, { profile })
    expect(numbers(await device.read(a, 0, 4))).toEqual([200])
    expect(profile.every(t => t > 0)).toBe(true)
    program.dispose()
  })

  test('a lost GPU is told by every call after', async () => {
    const device = await openWebGpu()
    const b = await filled(device, [1])
    const program = await device.load({ launches: [addOne([[0, 0]], [1, 0], 1)], lengths: [], slots: 2 })
    const run = program.run([], [view(b), view(device.alloc(4))])
    device.gpu.destroy()
    await run.catch(() => {}) // it may have ended before
    await device.gpu.lost
    for (const call of [() => device.read(b, 0, 4), () => device.write(b, bytes(4)), () => program.run([], [view(b), view(b)])])
      await expect(call()).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' })
    expect(() => device.alloc(4)).toThrow(expect.objectContaining({ code: 'ERR_DEVICE_LOST' }))
    await device.close()
  })

  test('wrong use is refused', async () => {
    const device = await open()
    const other = await openWebGpu()
    const b = device.alloc(64)
    await expect(device.write(b, bytes(65))).rejects.toMatchObject({ code: 'ERR_SHAPE', data: { offset: 0, bytes: 65, have: 64 } })
    await expect(device.read(b, 60, 8)).rejects.toMatchObject({ code: 'ERR_SHAPE' })
    await expect(device.read(b, -1, 8)).rejects.toMatchObject({ code: 'ERR_SHAPE' })
    await expect(other.read(b, 0, 8)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    await other.close()
    await other.close()
    expect(() => other.alloc(1)).toThrow(/closed/)
    expect(() => device.alloc(2 ** 40)).toThrow(expect.objectContaining({ code: 'ERR_OOM' }))
    expect(() => device.alloc(-1)).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }))
    const program = await device.load({ launches: [addOne([[0, 0]], [1, 0], 16)], lengths: [], slots: 2 })
    await expect(program.run([], [view(b), view(device.alloc(60))])).rejects.toMatchObject({ code: 'ERR_SHAPE' })
    await expect(program.run([], [view(b, 4), view(b)])).rejects.toMatchObject({ code: 'ERR_SHAPE' })
    await expect(program.run([1], [view(b), view(b)])).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    device.free(b)
    device.free(b)
    await expect(device.read(b, 0, 1)).rejects.toThrow(/was freed/)
    program.dispose()
    program.dispose()
    await expect(program.run([], [])).rejects.toThrow(/disposed/)
    const broken = { ...addOne([[0, 0]], [1, 0], 16), text: 'fn main() { nonsense }' }
    await expect(device.load({ launches: [broken], lengths: [], slots: 2 })).rejects.toThrow(/kernel of 'addOne' does not compile: error/)
  })
})

test('bindings are shared by rewriting declarations and reads alone', () => {
  const text = kernelText({
    operands: [{ name: 'x', dtype: 'i32' }, undefined, { name: 'y', dtype: 'i32', write: true }],
    uniforms: [],
    main: 'put_y(0u, x(0u));',
  })
  expect(shareBindings(text, { groups: [0, -1, 0], writes: [true] })).toMatchInlineSnapshot(`
    "@group(0) @binding(1) var<storage, read_write> g0: array<u32>;
    struct Uniforms { at0: u32, at1: u32, at2: u32 }
    @group(0) @binding(0) var<uniform> u: Uniforms;
    fn x(i: u32) -> i32 { return bitcast<i32>(g0[(u.at0 >> 2u) + i]); }
    fn y(i: u32) -> i32 { return bitcast<i32>(g0[(u.at2 >> 2u) + i]); }
    fn put_y(i: u32, value: i32) { g0[(u.at2 >> 2u) + i] = bitcast<u32>(value); }

    @compute @workgroup_size(64)
    fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) ids: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
      let group = id.y * ids.x + id.x;
      put_y(0u, x(0u));
    }
    "
  `)
})
