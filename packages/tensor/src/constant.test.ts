import { describe, expect, it } from 'vitest'
import { Constant, constantTensor, type Device, mapWith, record, reference, tensor } from './index.ts'

/** The reference, counting the bytes that are allocated. */
function counted(): { device: Device; held: () => number } {
  const device = reference()
  let held = 0
  const { alloc } = device
  return {
    held: () => held,
    device: {
      ...device,
      alloc(bytes) {
        held += bytes
        return alloc(bytes)
      },
      free(buffer) {
        held -= buffer.bytes
      },
    },
  }
}

const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
async function* inPieces(...sizes: number[]) {
  const memory = new Uint8Array(8)
  let at = 0
  for (const size of sizes) {
    memory.set(bytes.subarray(at, at + size))
    yield memory.subarray(0, size)
    at += size
  }
}
const unread = (): Uint8Array => {
  throw new Error('asked for whole')
}

describe('Constant', () => {
  it('is uploaded in pieces, each used before the next', async () => {
    const { device, held } = counted()
    const c = new Constant('u8', [8], unread, 'w', () => inPieces(3, 5))
    expect([...(await device.read(await c.on(device), 0, 8))]).toEqual([...bytes])
    await c.release(device)
    expect(held()).toBe(0)
  })

  it('keeps nothing on the device when uploading fails, and can be uploaded later', async () => {
    const { device, held } = counted()
    let short = true
    const c = new Constant('u8', [8], unread, 'w', () => inPieces(3, short ? 4 : 5))
    await expect(c.on(device)).rejects.toMatchObject({ code: 'ERR_SHAPE', data: { name: 'w', bytes: 7 } })
    expect(held()).toBe(0)
    expect(c.isOn(device)).toBe(false)
    short = false
    await c.on(device)
    expect(held()).toBe(8)
  })

  it('leaves the device with its last borrower, unless somebody put it there to stay', async () => {
    const { device, held } = counted()
    const c = new Constant('u8', [8], bytes)
    const [a, b] = [await c.borrow(device), await c.borrow(device)]
    expect(a.buffer).toBe(b.buffer)
    a.giveBack()
    expect(held()).toBe(8)
    b.giveBack()
    expect(held()).toBe(0)
    const again = await c.borrow(device)
    await c.on(device)
    again.giveBack()
    expect(held()).toBe(8)
    const late = await c.borrow(device)
    await c.release(device)
    const other = await c.borrow(device)
    late.giveBack() // the copy it had is gone; this is another
    expect(held()).toBe(8)
    other.giveBack()
    expect(held()).toBe(0)
  })

  it('of a recording goes with it', async () => {
    const { device, held } = counted()
    const [kept, own] = [new Constant('f32', [1], new Uint8Array(4)), tensor([7])]
    await kept.on(device)
    const before = held()
    const recording = await record(device, { outputs: { sum: mapWith((x, y) => x.add(y), [own, constantTensor(kept)]) } })
    await recording.run()
    expect([...(await recording.read('sum')).data]).toEqual([7])
    recording.dispose()
    recording.arena.dispose()
    expect(held()).toBe(before)
  })
})
