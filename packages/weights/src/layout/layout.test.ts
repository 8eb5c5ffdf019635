import { q4_0, q8_0 } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { ignore, layout, loadValues, rule, saveValues } from './layout.ts'
import { merge, permuteRope, reshape, type Step, split, stack, transpose } from './steps.ts'
import { hollow, transposed, unpacked, type Value } from './value.ts'

const f32 = (shape: number[], start = 0): Value => {
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => start + i)
  return { dtype: 'f32', shape, bytes: new Uint8Array(values.buffer) }
}
const packed = (codec: typeof q8_0, shape: number[]): Value => {
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i))
  const bytes = new Uint8Array((values.length / codec.block) * codec.bytes)
  codec.encode!(values, bytes)
  return { dtype: codec, shape, bytes }
}
const list = (v: Value) => [...new Float32Array(unpacked(v).bytes.slice().buffer)]
const plain = ({ dtype, shape, bytes }: Value) => ({ dtype, shape, bytes: [...bytes] })
const there = (step: Step, ...values: Value[]) => step.load(values)
const andBack = (step: Step, ...values: Value[]) => expect(step.save(step.load(values)).map(plain)).toEqual(values.map(plain))

describe('steps', () => {
  it('undo themselves', () => {
    andBack(split(0, [2, 3, 1]), f32([6, 4]))
    andBack(split(1, [1, 3]), f32([6, 4]))
    andBack(split(1, [1, 2, 1]), f32([2, 4, 3]))
    andBack(merge(0, [1, 2]), f32([1, 4]), f32([2, 4], 100))
    andBack(stack(), f32([2, 3]), f32([2, 3], 50), f32([2, 3], 90))
    andBack(split(1, [1, 2], 2), f32([3, 6, 2]))
    andBack(split(0, [2, 1], 4), packed(q8_0, [12, 32]))
    andBack(transpose(), f32([3, 5]))
    andBack(transpose(), f32([2, 3, 5]))
    andBack(reshape([6, 4], [3, 2, 4]), f32([6, 4]))
    andBack(permuteRope(6), f32([12, 2]))
    andBack(permuteRope(6), f32([12]))
    andBack(permuteRope(4), packed(q4_0, [8, 64]))
    andBack(split(0, [1, 3]), packed(q8_0, [4, 32]))
    andBack(split(1, [32, 64]), packed(q8_0, [4, 96]))
  })

  it('do what they say', () => {
    expect(there(split(1, [1, 2]), f32([2, 3])).map(list)).toEqual([
      [0, 3],
      [1, 2, 4, 5],
    ])
    expect(there(split(0, [1, 2], 2), f32([6])).map(list)).toEqual([
      [0, 3],
      [1, 2, 4, 5],
    ])
    expect(list(there(transpose(), f32([2, 3]))[0])).toEqual([0, 3, 1, 4, 2, 5])
    expect(list(there(transpose(), f32([2, 2, 2]))[0])).toEqual([0, 2, 1, 3, 4, 6, 5, 7])
    expect(list(there(permuteRope(4), f32([8]))[0])).toEqual([0, 2, 1, 3, 4, 6, 5, 7])
    expect(there(stack(), f32([2]), f32([2], 5))[0].shape).toEqual([2, 2])
  })

  it('keep packed values packed where cuts fall between blocks, and unpack them where not', () => {
    const value = packed(q8_0, [2, 64])
    expect(there(split(1, [32, 32]), value).map(v => v.dtype)).toEqual([q8_0, q8_0])
    expect(there(split(1, [16, 48]), value).map(v => v.dtype)).toEqual(['f32', 'f32'])
    expect(list(there(split(1, [16, 48]), value)[0])).toEqual([...list(value).slice(0, 16), ...list(value).slice(64, 80)])
    expect(list(transposed(value))).toEqual(list(transposed(unpacked(value))))
  })

  it('refuse shapes they do not fit', () => {
    expect(() => there(split(0, [2, 2]), f32([5]))).toThrow(/cannot be cut/)
    expect(() => there(transpose(), f32([5]))).toThrow(/only a matrix/)
    expect(() => there(reshape([2, 3], [6]), f32([3, 2]))).toThrow(/\[2,3\] is expected/)
  })
})

const model = layout([
  rule('wte.weight', 'embed.weight'),
  rule('h.{i}.ln.{weight|bias}', 'layers.{i}.norm.{weight|bias}'),
  rule('h.{i}.qkv.weight', ['layers.{i}.q.weight', 'layers.{i}.k.weight', 'layers.{i}.v.weight'], transpose(), split(0, [2, 1, 1])),
  rule('h.{i}.experts.{e*}.up.weight', 'layers.{i}.experts.weight', stack()),
  rule('head.weight', 'head.weight'),
  ignore('h.{i}.inv_freq', 'recomputed'),
])
const files = new Map([
  ['wte.weight', f32([3, 2])],
  ['h.0.ln.weight', f32([2])],
  ['h.0.ln.bias', f32([2], 7)],
  ['h.0.qkv.weight', f32([2, 4])],
  ['h.0.experts.1.up.weight', f32([2, 2], 10)],
  ['h.0.experts.0.up.weight', f32([2, 2])],
])
const names = [...files.keys()]

describe('layout', () => {
  it('loads and saves from one declaration', () => {
    const params = new Map<string, Value>()
    for (const a of model.load(names))
      for (const [k, v] of loadValues(
        a,
        a.files.map(n => files.get(n)!),
      ))
        params.set(k, v)
    expect([...params.keys()].sort()).toEqual([
      'embed.weight',
      'layers.0.experts.weight',
      'layers.0.k.weight',
      'layers.0.norm.bias',
      'layers.0.norm.weight',
      'layers.0.q.weight',
      'layers.0.v.weight',
    ])
    expect(list(params.get('layers.0.k.weight')!)).toEqual([2, 6])
    expect(list(params.get('layers.0.experts.weight')!)).toEqual([0, 1, 2, 3, 10, 11, 12, 13])

    const back = new Map<string, Value>()
    for (const a of model.save(params.keys()))
      for (const [k, v] of saveValues(
        a,
        a.params.map(n => params.get(n)!),
      ))
        back.set(k, v)
    expect([...back.keys()].sort()).toEqual([...names].sort())
    for (const [name, value] of back) expect([name, list(value)]).toEqual([name, list(files.get(name)!)])
  })

  it('follows dtypes and shapes without bytes', () => {
    const [qkv] = model.save(['q', 'k', 'v'].map(n => `layers.3.${n}.weight`))
    const made = saveValues(qkv, [hollow('bf16', [2, 8]), hollow('bf16', [1, 8]), hollow('bf16', [1, 8])])
    expect([...made].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([['h.3.qkv.weight', 'bf16', [8, 4]]])
    const [experts] = model.save(['layers.0.experts.weight'])
    expect([...saveValues(experts, [hollow('f32', [3, 2, 2])]).keys()]).toEqual([0, 1, 2].map(e => `h.0.experts.${e}.up.weight`))
  })

  it('names a tensor it does not know, unless told to go on', () => {
    expect(() => model.load([...names, 'h.0.surprise'])).toThrow(
      expect.objectContaining({ code: 'ERR_UNSUPPORTED', data: { tensor: 'h.0.surprise' } }),
    )
    expect(() => model.load([...names, 'h.01.ln.weight'])).toThrow(/h.01.ln.weight/)
    const unknown: string[] = []
    model.load([...names, 'x', 'h.0.inv_freq'], { unknown: t => unknown.push(t) })
    expect(unknown).toEqual(['x'])
  })

  it('names a tensor that is missing', () => {
    expect(() => model.load(names.filter(n => n !== 'h.0.experts.0.up.weight'))).toThrow(
      expect.objectContaining({ code: 'ERR_FORMAT', data: expect.objectContaining({ tensor: 'h.0.experts.0.up.weight' }) }),
    )
    expect(() => model.load(['wte.weight'], { params: ['embed.weight', 'layers.2.v.weight'] })).toThrow(
      expect.objectContaining({ code: 'ERR_FORMAT', data: { tensor: 'h.2.qkv.weight', param: 'layers.2.v.weight' } }),
    )
  })

  it('names a tensor the model has no place for', () => {
    expect(() => model.load(['wte.weight', 'head.weight'], { params: ['embed.weight'] })).toThrow(
      expect.objectContaining({ code: 'ERR_UNSUPPORTED', data: { tensor: 'head.weight' } }),
    )
    const tied = layout([rule('wte.weight', 'embed.weight'), rule('head.weight', 'head.weight'), ignore('head.weight', 'tied')])
    expect(tied.load(['wte.weight', 'head.weight'], { params: ['embed.weight'] }).map(a => a.files)).toEqual([['wte.weight']])
    expect(tied.load(['wte.weight', 'head.weight']).length).toBe(2)
  })

  it('ignores whole families of names', () => {
    const guessing = layout([rule('h.{i}.a', 'layers.{i}.a'), ignore('h.2.{**}', 'not needed')])
    expect(guessing.load(['h.0.a', 'h.2.b.c'], { params: ['layers.0.a'] }).map(a => a.files)).toEqual([['h.0.a']])
    expect(guessing.load(['h.0.a', 'h.2.a'], { params: ['layers.0.a'] }).map(a => a.files)).toEqual([['h.0.a']])
    expect(() => rule('h.{**}', 'x')).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }))
  })

  it('refuses two tensors for one parameter', () => {
    const both = layout([rule('a', 'x'), rule('b', 'x')])
    expect(() => both.load(['a', 'b'])).toThrow(expect.objectContaining({ code: 'ERR_FORMAT', data: { param: 'x', tensors: ['a', 'b'] } }))
    expect(both.save(['x'])[0].files).toEqual(['a'])
  })

  it('names a parameter it cannot write', () => {
    expect(() => model.save(['nowhere'])).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED', data: { param: 'nowhere' } }))
    expect(() => model.save(['layers.0.q.weight'])).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }))
  })
})

it('writes by the names that a source has, where a layout knows several', () => {
  const either = layout([rule('model.{i}.w', 'layers.{i}.w'), rule('{i}.w', 'layers.{i}.w')])
  const names = (like?: Set<string>) => either.save(['layers.0.w', 'layers.1.w'], like).flatMap(a => a.files)
  expect(names()).toEqual(['model.0.w', 'model.1.w'])
  expect(names(new Set(['0.w', '1.w']))).toEqual(['0.w', '1.w'])
  expect(names(new Set(['other']))).toEqual(['model.0.w', 'model.1.w'])
})
