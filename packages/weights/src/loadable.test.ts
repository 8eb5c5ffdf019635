import { readFileSync } from 'node:fs'
import { type Codec, floatToHalf, halfToFloat, q8_0 } from '@attune/tensor'
import { expect, it } from 'vitest'
import { floats, type TensorEntry, tensorEntry } from './checkpoint.ts'
import { fileBytes } from './dtypes.ts'
import { q4_k, q5_0 } from './gguf/codecs/index.ts'
import { loadable } from './loadable.ts'
import { memorySource } from './source.ts'

const { cases } = JSON.parse(readFileSync(new URL('../test/fixtures/gguf-codecs.json', import.meta.url), 'utf8'))
function tensor(codec: Codec, shape: number[]): TensorEntry {
  const block = Buffer.from(cases.find((c: { type: string }) => c.type.toLowerCase() === codec.name).raw, 'base64')
  const size = shape.reduce((a, b) => a * b)
  const bytes = Uint8Array.from({ length: fileBytes(codec, size) }, (_, i) => block[i % block.length])
  return tensorEntry(memorySource('x', bytes), { name: 'w', dtype: codec, shape, byteOffset: 0 })
}

it('reads a format without kernels as the halves of its values', async () => {
  const packed = tensor(q4_k, [5, 512])
  const loaded = loadable(packed)
  expect(loaded).toMatchObject({ dtype: 'f16', bytes: 5 * 512 * 2, shape: [5, 512] })
  const want = [...(await floats(packed))].map(x => halfToFloat(floatToHalf(x)))
  expect([...(await floats(loaded))]).toEqual(want)
  const target = new Uint8Array(loaded.bytes)
  await loaded.readInto(target)
  expect([...new Uint16Array(target.buffer)].map(halfToFloat)).toEqual(want)
  expect([...new Uint16Array((await loaded.readRows(1, 3)).buffer)].map(halfToFloat)).toEqual(want.slice(512, 3 * 512))
})

it('reads tensors larger than a piece, without loss where q8_0 can hold them', async () => {
  const packed = tensor(q5_0, [3000, 704])
  const loaded = loadable(packed)
  expect([loaded.dtype, loaded.bytes]).toEqual([q8_0, (3000 * 704 * 34) / 32])
  const pieces: Buffer[] = []
  for await (const piece of loaded.pieces()) pieces.push(Buffer.from(piece))
  expect(pieces.length).toBeGreaterThan(1)
  expect(Buffer.compare(Buffer.concat(pieces), await loaded.read())).toBe(0)
  expect(Buffer.compare(Buffer.from((await floats(loaded)).buffer), Buffer.from((await floats(packed)).buffer))).toBe(0)
})

it('leaves vectors and formats with kernels alone', () => {
  for (const entry of [tensor(q4_k, [256]), { ...tensor(q5_0, [2, 32]), dtype: q8_0 }]) expect(loadable(entry)).toBe(entry)
})
