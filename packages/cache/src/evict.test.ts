import { gqa } from '@attune/attention-heads'
import { lastLogits, noOutput, Runner } from '@attune/models'
import { reference } from '@attune/tensor'
import { drive, nmse, poisoned, tinyModel, tokens } from '@attune/testing'
import { expect, it } from 'vitest'
import { evicting } from './paged.ts'
import type { EvictionPolicy } from './policy.ts'

const config = { dim: 24, heads: 4, kvHeads: 2, headDim: 8 }
/** Keeps the first two rows and the last six. */
const ends: EvictionPolicy = {
  name: 'ends',
  about: { title: 'First and last rows' },
  observes: { mass: 'all', queries: 3, parts: ['k'] },
  after: 'prefill',
  plan: ({ layers }) =>
    layers.map(({ rows }) => rows.map(own => Int32Array.from([0, 1, ...Array.from({ length: 6 }, (_, i) => own.length - 6 + i)]))),
}

it('a token after an eviction attends to exactly the rows that stayed', async () => {
  const model = tinyModel(gqa, config)
  const ids = tokens(21)
  const cache = evicting(ends, { rows: 8 }, { page: 4 })
  const runner = new Runner(model, poisoned(reference()), { cache })
  const [own, other] = [runner.open(), runner.open()]
  await runner.feed(other, ids.slice(3, 17), noOutput)
  await runner.feed(own, ids.slice(0, 20), noOutput, undefined, { settle: true })
  const before = runner.cacheBytes
  const r = await runner.step([{ sequence: own, ids: [ids[20]] }], lastLogits)
  const { data, shape } = await r.read('logits')
  // With one layer a row's key and value depend on its token alone, so a window over the same rows is the same attention.
  const windowed = tinyModel(gqa, config, { mask: { kind: 'window', size: 7, sinks: 2 } })
  const want = (await drive(windowed, poisoned(reference()), ids)).logits
  expect(nmse(data.subarray(0, shape[1]), want.slice(20 * shape[1]))).toBeLessThan(1e-10)
  expect(runner.cacheBytes).toBe(before)
  expect(own.rows).toBe(21)
  await runner.dispose()
})

it('sees each slot’s weight, the last queries and the stored keys', async () => {
  const model = tinyModel(gqa, config, { layers: 2 })
  let seen: Parameters<EvictionPolicy['plan']>[0] | undefined
  const watching: EvictionPolicy = {
    ...ends,
    plan(observed) {
      seen = observed
      return []
    },
  }
  const runner = new Runner(model, poisoned(reference()), { cache: evicting(watching, { rows: 8 }), chunk: 7 })
  await runner.feed(runner.open(), tokens(20), noOutput, undefined, { settle: true })
  await runner.dispose()
  expect(seen!.layers).toHaveLength(2)
  for (const { mass, queries, parts, rows } of seen!.layers) {
    // Every query of the two query heads of a key head gives weight 1.
    for (const own of mass!) expect(own.reduce((a, b) => a + b, 0)).toBeCloseTo(40, 3)
    expect(queries).toMatchObject({ count: 3, width: 8, keyHeads: [0, 0, 1, 1] })
    expect([...queries!.data].every(Number.isFinite)).toBe(true)
    expect(parts!.k.map(k => k.length)).toEqual([160, 160])
    expect([...rows[0]]).toEqual(Array.from({ length: 20 }, (_, i) => i))
  }
})

it('refuses a plan that names slots there are not', async () => {
  const model = tinyModel(gqa, config)
  const wild: EvictionPolicy = { ...ends, plan: () => [[Int32Array.of(0, 99), undefined]] }
  const runner = new Runner(model, reference(), { cache: evicting(wild, { rows: 8 }) })
  await expect(runner.feed(runner.open(), tokens(20), noOutput, undefined, { settle: true })).rejects.toThrow(/layer 0, head 0.*20.*99/)
  await runner.dispose()
})

it('turns keys to their new positions', async () => {
  const model = tinyModel(gqa, config)
  const ids = tokens(21)
  const runner = new Runner(model, poisoned(reference()), { cache: evicting({ ...ends, rerotate: true }, { rows: 8 }) })
  const own = runner.open()
  await runner.feed(own, ids.slice(0, 20), noOutput, undefined, { settle: true })
  expect(own.position).toBe(8)
  const { data } = await (await runner.step([{ sequence: own, ids: [ids[20]] }], lastLogits)).read('logits')
  // One layer: the same as a prompt of just the rows that stayed.
  const want = (await drive(model, reference(), [...ids.slice(0, 2), ...ids.slice(14, 21)])).logits
  expect(nmse(data, want.slice(8 * data.length))).toBeLessThan(1e-9)
  await runner.dispose()
})
