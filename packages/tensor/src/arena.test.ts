import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Lifetime, placeLifetimes } from './index.ts'

const lifetimes = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: 5000 }), fc.nat(20), fc.nat(20))
    .map(([bytes, from, for_]): Lifetime => ({ bytes, from, to: from + for_, offset: -1 })),
  { maxLength: 30 },
)
const padded = (bytes: number): number => Math.ceil(Math.max(bytes, 1) / 64) * 64
const together = (a: Lifetime, b: Lifetime): boolean => a.from <= b.to && b.from <= a.to

describe('placeLifetimes', () => {
  it('never lets values that live together overlap, aligned, inside the total', () => {
    fc.assert(
      fc.property(lifetimes, values => {
        const total = placeLifetimes(values)
        for (const [i, a] of values.entries()) {
          expect(a.offset % 64).toBe(0)
          expect(a.offset).toBeGreaterThanOrEqual(0)
          expect(a.offset + a.bytes).toBeLessThanOrEqual(total)
          for (const b of values.slice(i + 1))
            if (together(a, b)) expect(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset).toBe(true)
        }
      }),
    )
  })
  it('needs no more than all values, and no less than those of any moment', () => {
    fc.assert(
      fc.property(lifetimes, values => {
        const total = placeLifetimes(values)
        expect(total).toBeLessThanOrEqual(values.reduce((n, v) => n + padded(v.bytes), 0))
        for (let t = 0; t <= 40; t++)
          expect(total).toBeGreaterThanOrEqual(values.reduce((n, v) => n + (v.from <= t && t <= v.to ? padded(v.bytes) : 0), 0))
      }),
    )
  })
  it('uses a gap again', () => {
    const values = [0, 1, 2, 3].map(t => ({ bytes: 640, from: t, to: t, offset: 0 }))
    expect(placeLifetimes(values)).toBe(640)
  })
})
