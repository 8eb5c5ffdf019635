import { readFileSync } from 'node:fs'
import { type Codec, q8_0 } from '@attune/tensor'
import { expect, it } from 'vitest'
import { decode } from '../../dtypes.ts'
import { GGML_TYPES } from '../types.ts'
import { type FileCodec, isFileCodec } from './codec.ts'

const json = (path: string) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))
const floatsOf = (base64: string) => new Float32Array(bytes(base64).buffer)

interface Case {
  name: string
  id: number
  raw: Uint8Array
  values: ArrayLike<number>
}
const ours: Case[] = json('../../../test/fixtures/gguf-codecs.json').cases.map((c: Record<string, any>) => ({
  name: c.type,
  id: c.id,
  raw: bytes(c.raw),
  values: floatsOf(c.values),
}))
/** What the designers of the project measured, with decimal values. */
const theirs: Case[] = json('../../../../tensor/test/fixtures/gguf_dequant.json').synthetic.map((c: Record<string, any>) => ({
  name: c.type,
  id: c.ggml_type_id,
  raw: bytes(c.raw_base64),
  values: c.values.map(Math.fround),
}))

it.each([...ours, ...theirs])('decodes $name as ggml does, bit for bit', ({ name, id, raw, values }) => {
  const type = GGML_TYPES.get(id)!
  expect(type.name).toBe(name)
  const codec = type.storage as Codec
  expect([codec.name, codec.block, codec.bytes]).toEqual([name.toLowerCase(), type.block, type.bytes])
  const out = new Float32Array(values.length)
  decode(codec, raw, out)
  expect([...out]).toEqual(Array.from(values))
})

it.each(ours.filter(c => (GGML_TYPES.get(c.id)!.storage as FileCodec).repack))(
  'loads $name as q8_0 with the same values',
  ({ id, raw, values }) => {
    const codec = GGML_TYPES.get(id)!.storage as FileCodec
    expect(codec.loadsAs).toBe(q8_0)
    const packed = new Uint8Array((values.length / 32) * 34)
    codec.repack!(raw, packed)
    const out = new Float32Array(values.length)
    q8_0.decode(packed, out)
    expect([...out]).toEqual(Array.from(values))
  },
)

it('says of every format without kernels what loaded weights become', () => {
  const without = [...GGML_TYPES.values()].filter(t => isFileCodec(t.storage)).map(t => t.name)
  expect(without).toEqual(
    expect.arrayContaining([
      'Q5_0',
      'Q5_1',
      'Q2_K',
      'Q3_K',
      'Q4_K',
      'Q5_K',
      'Q6_K',
      'IQ4_NL',
      'IQ4_XS',
      'MXFP4',
      'NVFP4',
      'TQ1_0',
      'TQ2_0',
    ]),
  )
})
