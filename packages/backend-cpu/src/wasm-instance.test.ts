import { afterEach, expect, test, vi } from 'vitest'
import { openMemory } from './wasm-instance.ts'

afterEach(() => vi.unstubAllGlobals())

/** An engine that grants at most so many pages. */
function engineOf(most: number): number[] {
  const asked: number[] = []
  const { Memory } = WebAssembly
  vi.stubGlobal('WebAssembly', {
    ...WebAssembly,
    Memory: class extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        asked.push(descriptor.maximum!)
        if (descriptor.maximum! > most) throw new RangeError('could not allocate memory')
        super(descriptor)
      }
    },
  })
  return asked
}

test.each([
  [70_000, 65_536, [65_536]],
  [40_000, 32_768, [65_536, 32_768]],
  [16_384, 16_384, [65_536, 32_768, 16_384]],
])('an engine that grants %i pages gives %i', (most, maximum, tries) => {
  const asked = engineOf(most)
  for (const shared of [true, false]) {
    const opened = openMemory(shared)
    expect(opened.maximum).toBe(maximum)
    expect(opened.memory.buffer instanceof SharedArrayBuffer).toBe(shared)
  }
  expect(asked).toEqual([...tries, ...tries])
})

test('an engine that grants no 1 GiB is refused', () => {
  engineOf(16_383)
  expect(() => openMemory(true)).toThrow(expect.objectContaining({ code: 'ERR_OOM', data: { wanted: 2 ** 30, available: 0 } }))
})
