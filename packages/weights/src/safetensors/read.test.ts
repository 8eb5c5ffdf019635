import { describe, expect, it } from 'vitest'
import { makeSafetensors } from '../../test/make.ts'
import { floats } from '../checkpoint.ts'
import { folderOf } from '../folder.ts'
import { openCheckpoint } from '../open.ts'
import { memorySource } from '../source.ts'
import { readSafetensors } from './read.ts'

const read = (bytes: Uint8Array) => readSafetensors(memorySource('x.safetensors', bytes))
const f32 = (shape: unknown, begin: unknown, end: unknown) => ({ dtype: 'F32', shape, data_offsets: [begin, end] })

describe('readSafetensors', () => {
  it('reads every dtype and converts it to f32', async () => {
    const cases: [string, ArrayBufferView, number[]][] = [
      ['F64', Float64Array.of(1.5, -0.1), [1.5, Math.fround(-0.1)]],
      ['I64', BigInt64Array.of(-3n, 2n ** 53n), [-3, 2 ** 53]],
      ['U64', BigUint64Array.of(3n, 2n ** 63n), [3, 2 ** 63]],
      ['F32', Float32Array.of(1.25, -2), [1.25, -2]],
      ['I32', Int32Array.of(-7, 7), [-7, 7]],
      ['U32', Uint32Array.of(7, 2 ** 31), [7, 2 ** 31]],
      ['F16', Uint16Array.of(0x3c00, 0x0001), [1, 2 ** -24]],
      ['BF16', Uint16Array.of(0x3f80, 0xc000), [1, -2]],
      ['I16', Int16Array.of(-5, 5), [-5, 5]],
      ['U16', Uint16Array.of(5, 65535), [5, 65535]],
      ['F8_E4M3', Uint8Array.of(0x38, 0xfe), [1, -448]],
      ['F8_E5M2', Uint8Array.of(0x3c, 0x7b), [1, 57344]],
      ['I8', Int8Array.of(-1, 127), [-1, 127]],
      ['U8', Uint8Array.of(0, 255), [0, 255]],
      ['BOOL', Uint8Array.of(1, 0), [1, 0]],
    ]
    const header: Record<string, unknown> = { __metadata__: { format: 'pt' } }
    const data: number[] = []
    for (const [dtype, view] of cases) {
      header[dtype] = { dtype, shape: [2], data_offsets: [data.length, data.length + view.byteLength] }
      data.push(...new Uint8Array(view.buffer))
    }
    const { tensors, metadata } = await read(makeSafetensors(header, Uint8Array.from(data)))
    expect(metadata).toEqual({ format: 'pt' })
    for (const [dtype, , values] of cases) expect([dtype, ...(await floats(tensors.get(dtype)!))]).toEqual([dtype, ...values])
  })

  it('reads rows without reading the rest', async () => {
    const values = Float32Array.from({ length: 12 }, (_, i) => i)
    const { tensors } = await read(makeSafetensors({ w: f32([4, 3], 0, 48) }, new Uint8Array(values.buffer)))
    expect([...new Float32Array((await tensors.get('w')!.readRows(1, 3)).buffer)]).toEqual([3, 4, 5, 6, 7, 8])
  })

  it('reads scalars and empty tensors', async () => {
    const { tensors } = await read(makeSafetensors({ s: f32([], 0, 4), e: f32([0, 3], 4, 4) }, 4))
    expect([...(await floats(tensors.get('s')!))]).toEqual([0])
    expect([...(await floats(tensors.get('e')!))]).toEqual([])
  })

  const hostile: [string, Uint8Array, string, RegExp][] = [
    ['an empty file', new Uint8Array(0), 'header size', /no header fits/],
    ['an oversized header', makeSafetensors({}, 0, { claim: 2n ** 63n }), 'header size', /claimed/],
    ['a header longer than the file', makeSafetensors({}, 0, { claim: 3n }), 'header size', /3 bytes claimed/],
    ['no brace', makeSafetensors(0, 8, { raw: '[1, 2]' }), 'header', /does not start/],
    ['broken JSON', makeSafetensors(0, 8, { raw: '{"a": }' }), 'header', /JSON/],
    ['a number for a tensor', makeSafetensors({ w: 3 }, 8), 'w', /not an object/],
    ['an unknown field', makeSafetensors({ w: { ...f32([1], 0, 4), stride: 1 } }, 4), 'w.stride', /not a field/],
    [
      'an unknown dtype',
      makeSafetensors({ w: { dtype: 'toString', shape: [1], data_offsets: [0, 4] } }, 4),
      'w.dtype',
      /not a safetensors dtype/,
    ],
    ['a negative shape', makeSafetensors({ w: f32([-1], 0, 4) }, 4), 'w.shape', /whole numbers/],
    ['a fractional shape', makeSafetensors({ w: f32([0.5], 0, 2) }, 2), 'w.shape', /whole numbers/],
    ['an enormous shape', makeSafetensors({ w: f32([2 ** 40, 2 ** 40, 0.5 + 0.5], 0, 4) }, 4), 'w.shape', /more than a file/],
    ['falling offsets', makeSafetensors({ w: f32([1], 4, 0) }, 4), 'w.data_offsets', /rising/],
    ['a lying size', makeSafetensors({ w: f32([2], 0, 4) }, 4), 'w.data_offsets', /takes 8/],
    ['an overlap', makeSafetensors({ a: f32([2], 0, 8), b: f32([2], 4, 12) }, 12), 'b.data_offsets', /inside the tensor before/],
    ['a gap', makeSafetensors({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12), 'b.data_offsets', /with a gap/],
    ['missing data', makeSafetensors({ a: f32([2], 0, 8) }, 4), 'a.data_offsets', /truncated/],
    ['data left over', makeSafetensors({ a: f32([1], 0, 4) }, 5), 'data', /take 4/],
    [
      'a duplicate name',
      makeSafetensors(0, 4, { raw: '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":1}' }),
      'a',
      /duplicate/,
    ],
    [
      'a duplicate field',
      makeSafetensors(0, 4, { raw: '{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}' }),
      'dtype',
      /duplicate/,
    ],
    ['metadata that is no text', makeSafetensors({ __metadata__: { a: 1 } }, 0), '__metadata__.a', /not a string/],
    [
      'a name that is not UTF-8',
      new Uint8Array([10, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d, 0x20, 0x20, 0x20]),
      'header',
      /UTF-8/,
    ],
  ]
  it.each(hostile)('refuses %s by file, field and offset', async (_, bytes, field, why) => {
    const error = await read(bytes).catch(e => e)
    expect(error).toMatchObject({ code: 'ERR_FORMAT', data: { file: 'x.safetensors', field } })
    expect(error.data.offset).toBeTypeOf('number')
    expect(error.message).toMatch(why)
  })

  it('says where in the file a damaged entry stands', async () => {
    const raw = '{"é":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}, "b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    const error = await read(makeSafetensors(0, 4, { raw })).catch(e => e)
    expect(error.data.offset).toBe(8 + new TextEncoder().encode(raw.slice(0, raw.indexOf('"b"'))).length)
  })

  it('refuses a dtype it knows of but does not read', async () => {
    const file = makeSafetensors({ w: { dtype: 'C64', shape: [1], data_offsets: [0, 8] } }, 8)
    await expect(read(file)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED', data: { tensor: 'w', dtype: 'C64' } })
  })

  it('stops when aborted', async () => {
    const source = memorySource('x', makeSafetensors({}, 2))
    await expect(readSafetensors(source, AbortSignal.abort())).rejects.toMatchObject({ code: 'ERR_ABORTED' })
  })
})

describe('openCheckpoint', () => {
  const text = (name: string, value: unknown) => memorySource(name, new TextEncoder().encode(JSON.stringify(value)))
  const one = (name: string) => makeSafetensors({ [name]: f32([1], 0, 4) }, 4)
  const index = (map: object) => text('model.safetensors.index.json', { metadata: {}, weight_map: map })

  it('opens shards through their index', async () => {
    const checkpoint = await openCheckpoint(
      folderOf('m', [
        text('config.json', { model_type: 'llama' }),
        index({ a: 's1.safetensors', b: 's2.safetensors' }),
        memorySource('s1.safetensors', one('a')),
        memorySource('s2.safetensors', one('b')),
      ]),
    )
    expect(checkpoint.config).toEqual({ model_type: 'llama' })
    expect([...checkpoint.tensors.values()].map(t => [t.name, t.file])).toEqual([
      ['a', 's1.safetensors'],
      ['b', 's2.safetensors'],
    ])
  })

  it.each([
    ['a tensor its shard lacks', { a: 's1.safetensors', c: 's1.safetensors' }, 'c'],
    ['a tensor the index lacks', {}, 'weight_map'],
    ['a tensor in another shard', { a: 's2.safetensors', b: 's1.safetensors' }, undefined],
    ['a path out of the folder', { a: '../s1.safetensors' }, 'weight_map.a'],
  ])('refuses an index with %s', async (_, map, field) => {
    const sources = [
      text('config.json', {}),
      index(map),
      memorySource('s1.safetensors', one('a')),
      memorySource('s2.safetensors', one('b')),
    ]
    const error = await openCheckpoint(folderOf('m', sources)).catch(e => e)
    expect(error.code).toBe('ERR_FORMAT')
    if (field) expect(error.data.field).toBe(field)
  })

  it('reads the bare words Python writes for numbers JSON lacks', async () => {
    const config = memorySource(
      'config.json',
      new TextEncoder().encode('{"limit": [0.0, Infinity], "low": -Infinity, "none": NaN, "text": "NaN"}'),
    )
    const checkpoint = await openCheckpoint(folderOf('m', [config, memorySource('model.safetensors', one('a'))]))
    expect(checkpoint.config).toEqual({ limit: [0, Infinity], low: -Infinity, none: null, text: 'NaN' })
  })

  it('takes the chat template from either place', async () => {
    const weights = memorySource('model.safetensors', one('a'))
    const named = [
      { name: 'tool_use', template: 'T' },
      { name: 'default', template: 'D' },
    ]
    const both = await openCheckpoint(
      folderOf('m', [text('config.json', {}), weights, text('tokenizer_config.json', { chat_template: named })]),
    )
    expect(both.chatTemplate).toBe('D')
  })

  it('says what to do about pickled weights', async () => {
    const folder = folderOf('m', [text('config.json', {}), memorySource('pytorch_model.bin', new Uint8Array(9))])
    await expect(openCheckpoint(folder)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED', data: { file: 'pytorch_model.bin' } })
  })
})
