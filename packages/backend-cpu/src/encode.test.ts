import { f32, type Launch, length } from '@attune/tensor'
import { expect, test } from 'vitest'
import { encode } from './encode.ts'

const kernels = new Map([
  ['add', 0],
  ['mul', 5],
])
const launch = (change: Partial<Launch> = {}): Launch => ({ text: 'mul', op: 'mul', bind: [], params: [], threadScratch: 0, ...change })

test('a program is a flat array', () => {
  const [rows, past] = [length('rows', 4), length('past', 128)]
  const data = Uint8Array.of(1, 2, 3)
  const { code, constants, slots, scratch } = encode(
    {
      lengths: [rows, past],
      slots: 3,
      launches: [
        launch({
          bind: [{ slot: 2, offset: 8, bytes: 16, write: true }, { none: true }, { data: Uint8Array.of(9) }, { data }, { data }],
          params: [7, f32(0.5), past, { product: [2, rows, 3, past] }],
          threadScratch: 65,
        }),
        launch({ text: 'add', bind: [{ slot: 0, offset: 4, bytes: 4, write: false }] }),
      ],
    },
    kernels,
  )
  expect([...code]).toEqual([
    ...[2, 5, 5, 4, 2, 8, -1, 0, -2, 0, -2, 64, -2, 64],
    ...[0, 7, -1, 0.5, 1, 1, 1, 2, 6, 0, 1],
    ...[0, 1, 0, 0, 4],
  ])
  expect(constants.byteLength).toBe(128)
  expect([...constants.subarray(64, 67)]).toEqual([1, 2, 3])
  expect(slots).toEqual([
    { extent: 8, written: false },
    { extent: 0, written: false },
    { extent: 24, written: true },
  ])
  expect(scratch).toBe(128)
})

test('what cannot be launched is refused with its name', () => {
  const refuse = (l: Partial<Launch>) => () => encode({ launches: [launch(l)], lengths: [], slots: 1 }, kernels)
  expect(refuse({ text: 'loops:mul' })).toThrow(/no kernel 'loops:mul' for 'mul'/)
  expect(refuse({ bind: Array.from({ length: 33 }, () => ({ none: true })) })).toThrow(/33 bindings/)
  expect(refuse({ params: Array.from({ length: 113 }, () => 1) })).toThrow(/113 parameters/)
  expect(refuse({ params: [1.5] })).toThrow(/integer parameter 1.5/)
  expect(refuse({ params: [length('other', 4)] })).toThrow(/length 'other'/)
  expect(refuse({ bind: [{ slot: 1, offset: 0, bytes: 4, write: false }] })).toThrow(/slot 1; there are 1 slots/)
  expect(refuse({ bind: [{ slot: 0, offset: -4, bytes: 4, write: false }] })).toThrow(/at -4 of slot 0/)
  expect(refuse({ threadScratch: -1 })).toThrow(/-1 bytes of scratch/)
})
