import { gqa } from '@attune/attention-heads'
import { cpu } from '@attune/backend-cpu'
import { testPolicy } from '@attune/testing'
import { afterAll, expect, it } from 'vitest'
import { longValues } from './long-values.ts'

const device = cpu({ threads: 2 })
afterAll(async () => (await device).close())

testPolicy({ policy: longValues(), variant: gqa, config: { dim: 24, heads: 4, kvHeads: 2, headDim: 8 }, device: () => device })

it('keeps the first, the last and the longest', () => {
  const rows = [Int32Array.from({ length: 6 }, (_, i) => i)]
  const v = [Float32Array.of(0, 0, 1, 0, 9, 0, 2, 0, 3, 0, 0, 0)]
  const kept = longValues({ sinks: 1, recent: 1 }).plan({ rows: 6, layers: [{ heads: 1, rows, parts: { v } }] }, { rows: 3 })
  expect([...kept[0]![0]!]).toEqual([0, 2, 5])
})
