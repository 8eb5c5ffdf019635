import { mkdtemp, open, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { floats } from '../checkpoint.ts'
import { readSafetensors } from '../safetensors/read.ts'
import { blobSource } from '../source.ts'
import { fileSource } from './file.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'attune-file-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

async function put(path: string, pieces: [Uint8Array, number][], size?: number): Promise<void> {
  const file = await open(path, 'w')
  for (const [bytes, at] of pieces) await file.write(bytes, 0, bytes.length, at)
  await file.close()
  if (size !== undefined) await truncate(path, size)
}

describe('fileSource', () => {
  it('reads tensors that lie across and beyond 4 GiB', async () => {
    const path = join(dir, 'large.safetensors')
    const count = 1024 * 1024 * 1024 + 1024 // f32 values, 4 GiB and 4 KiB
    const end = count * 4
    const info = {
      big: { dtype: 'F32', shape: [count / 1024, 1024], data_offsets: [0, end] },
      last: { dtype: 'F32', shape: [2], data_offsets: [end, end + 8] },
    }
    const header = new TextEncoder().encode(JSON.stringify(info))
    const start = 8 + header.length
    const across = Float32Array.of(1, 2, 3)
    await put(
      path,
      [
        [new Uint8Array(BigUint64Array.of(BigInt(header.length)).buffer), 0],
        [header, 8],
        [new Uint8Array(across.buffer), start + end - 4096],
        [new Uint8Array(Float32Array.of(7, 8).buffer), start + end],
      ],
      start + end + 8,
    )
    const source = await fileSource(path)
    const { tensors } = await readSafetensors(source)
    expect([...(await floats(tensors.get('last')!))]).toEqual([7, 8])
    const row = await tensors.get('big')!.readRows(count / 1024 - 1, count / 1024)
    expect([...new Float32Array(row.buffer).subarray(0, 4)]).toEqual([1, 2, 3, 0])
    await source.close()
  })

  it('reads into shared memory', async () => {
    const path = join(dir, 'small')
    await put(path, [[Uint8Array.of(1, 2, 3, 4), 0]])
    const heap = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
    const source = await fileSource(path)
    await source.readInto(1, new Uint8Array(heap.buffer, 100, 3))
    expect([...new Uint8Array(heap.buffer, 99, 5)]).toEqual([0, 2, 3, 4, 0])
    await source.close()
  })

  it('says when the file shrank, is missing, or is read outside', async () => {
    const path = join(dir, 'shrinks')
    await put(path, [[new Uint8Array(100), 0]])
    const source = await fileSource(path)
    await truncate(path, 10)
    await expect(source.read(0, 100)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await expect(source.read(90, 20)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    await expect(source.read(-1, 2)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    await expect(source.read(0, 1, AbortSignal.abort())).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    await source.close()
    await expect(fileSource(join(dir, 'nowhere'))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    await expect(fileSource(dir)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })
})

it('blobSource reads slices', async () => {
  expect([...(await blobSource('b', new Blob([Uint8Array.of(1, 2, 3, 4)])).read(1, 2))]).toEqual([2, 3])
})
