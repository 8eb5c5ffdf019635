import { mkdtemp, open, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeGguf, makeSafetensors } from '../../test/make.ts'
import { floats, type TensorEntry, tensorEntry } from '../checkpoint.ts'
import { readGguf } from '../gguf/read.ts'
import { readSafetensors } from '../safetensors/read.ts'
import { fileSource } from './file.ts'

const GiB = 2 ** 30
const WIDTH = 65536
const ROWS = (4 * GiB) / WIDTH - 1 // ends short of 4 GiB, so that the next tensor lies across
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-sparse-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** A file of `size` bytes that has only these on the disk. */
async function sparse(name: string, size: number, written: [at: number, bytes: Uint8Array][]): Promise<string> {
  const path = join(folder, name)
  const file = await open(path, 'w')
  await file.truncate(size)
  for (const [at, bytes] of written) await file.write(bytes, 0, bytes.length, at)
  await file.close()
  const { blocks } = await stat(path)
  if (blocks * 512 > GiB) throw new Error(`${tmpdir()} keeps no holes in files`)
  return path
}
const ramp = (n: number, from: number) => Float32Array.from({ length: n }, (_, i) => from + i)
const bytesOf = (f: Float32Array) => new Uint8Array(f.buffer)
const ACROSS = ramp(WIDTH / 2, 1) // 128 KiB from before 4 GiB on
const BEYOND = ramp(64, 9)
const ROW = Uint8Array.from({ length: WIDTH }, (_, i) => i % 251)

async function check(path: string, tensors: ReadonlyMap<string, TensorEntry>): Promise<void> {
  const { before, across, beyond } = Object.fromEntries(tensors)
  expect(before.byteOffset).toBeLessThan(2 * GiB)
  expect(across.byteOffset).toBeLessThan(4 * GiB)
  expect(across.byteOffset + across.bytes).toBeGreaterThan(4 * GiB)
  expect(beyond.byteOffset).toBeGreaterThan(4 * GiB)
  for (const { place, byteOffset, bytes } of tensors.values()) expect(place).toEqual({ path, offset: byteOffset, bytes })
  expect(await before.readRows(ROWS - 1, ROWS)).toEqual(ROW)
  expect(await before.readRows(0, 1)).toEqual(new Uint8Array(WIDTH))
  expect(await floats(across)).toEqual(ACROSS)
  expect(new Float32Array((await across.readRows(3, 5)).buffer)).toEqual(ACROSS.slice(3 * 1024, 5 * 1024))
  expect(await floats(beyond)).toEqual(BEYOND)
}

it('reads a safetensors file above 4 GiB, tensors across the boundary and beyond it', async () => {
  const sizes = [ROWS * WIDTH, ACROSS.byteLength, BEYOND.byteLength]
  const at = (i: number) => sizes.slice(0, i).reduce((a, b) => a + b, 0)
  const header = makeSafetensors(
    {
      before: { dtype: 'U8', shape: [ROWS, WIDTH], data_offsets: [at(0), at(1)] },
      across: { dtype: 'F32', shape: [32, 1024], data_offsets: [at(1), at(2)] },
      beyond: { dtype: 'F32', shape: [64], data_offsets: [at(2), at(3)] },
    },
    0,
  )
  const start = header.length
  const path = await sparse('model.safetensors', start + at(3), [
    [0, header],
    [start + at(1) - WIDTH, ROW],
    [start + at(1), bytesOf(ACROSS)],
    [start + at(2), bytesOf(BEYOND)],
  ])
  const source = await fileSource(path)
  await check(path, (await readSafetensors(source)).tensors)
  await source.close()
})

it('reads a GGUF file above 4 GiB, tensors across the boundary and beyond it', async () => {
  const tensors = [
    { name: 'before', dims: [WIDTH, ROWS], type: 24, bytes: ROWS * WIDTH },
    { name: 'across', dims: [1024, 32], type: 0, bytes: ACROSS.byteLength },
    { name: 'beyond', dims: [64], type: 0, bytes: BEYOND.byteLength },
  ]
  let end = 0
  const placed = tensors.map(t => {
    const offset = end
    end += t.bytes
    return { ...t, offset, data: new Uint8Array(0) }
  })
  const header = makeGguf([], placed)
  const start = header.length
  const path = await sparse('x.gguf', start + end, [
    [0, header],
    [start + placed[1].offset - WIDTH, ROW],
    [start + placed[1].offset, bytesOf(ACROSS)],
    [start + placed[2].offset, bytesOf(BEYOND)],
  ])
  const source = await fileSource(path)
  const { tensors: found } = await readGguf(source)
  const entries = [...found.values()].map(({ name, shape, byteOffset, type }) =>
    tensorEntry(source, { name, shape, byteOffset, dtype: type.storage! }),
  )
  await check(path, new Map(entries.map(e => [e.name, e])))
  await source.close()
})
