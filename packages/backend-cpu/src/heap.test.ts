import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Heap } from './heap.ts'

test('blocks never overlap, are aligned, and all memory comes back', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(5000), fc.nat(99)), { maxLength: 200 }), steps => {
      const limit = 200_000
      let end = 1000
      const heap = new Heap(100, end, bytes => (end + bytes > limit ? undefined : (end += bytes)))
      const held: { address: number; bytes: number }[] = []
      const used = new Set<number>() // cache lines that were handed out before
      for (const [bytes, choice] of steps) {
        if (choice < 40 && held.length > 0) {
          const [b] = held.splice(choice % held.length, 1)
          heap.free(b.address, b.bytes)
          continue
        }
        const got = heap.alloc(bytes)
        if (!got) continue
        expect(got.address % 64).toBe(0)
        expect(got.address).toBeGreaterThanOrEqual(100)
        expect(got.address + bytes).toBeLessThanOrEqual(end)
        for (const b of held) expect(got.address + bytes <= b.address || b.address + b.bytes <= got.address).toBe(true)
        for (let at = got.address; at < got.address + bytes; at += 64) {
          if (used.has(at)) expect(got.dirty).toBeGreaterThan(at - got.address)
          used.add(at)
        }
        held.push({ address: got.address, bytes })
      }
      for (const b of held) heap.free(b.address, b.bytes)
      const all = heap.unused
      expect(all).toBe(end - 128)
      if (all >= 64) expect(heap.alloc(Math.floor(all / 64) * 64)?.address).toBe(128) // one block again
    }),
    { numRuns: 100 },
  )
})
