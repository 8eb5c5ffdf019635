import { cpu } from '@attune/backend-cpu'
import { contiguous, quantised } from '@attune/cache'
import { lastLogits, noOutput, Runner } from '@attune/models'
import { reference } from '@attune/tensor'
import { testCache, tinyModel, tokens } from '@attune/testing'
import { afterAll, expect, it } from 'vitest'
import { gqa } from './gqa.ts'

const opened = Promise.all([cpu({ threads: 2 }), cpu({ backend: 'wasm', threads: 2 })])
afterAll(async () => {
  for (const d of await opened) await d.close()
})
const config = { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }

testCache({ cache: quantised({ bits: 8, group: 8, sinks: 2, recent: 0, rotate: true }), variant: gqa, config, within: 1e-4 })
testCache({ cache: quantised({ bits: 4, group: 8, sinks: 0, recent: 0, rotate: false }), variant: gqa, config, within: 2e-2 })
testCache({ cache: quantised({ bits: 4, group: 16, recent: 5 }), variant: gqa, config, within: 2e-2, mask: { kind: 'window', size: 20 } })
for (const [i, name] of ['native', 'WebAssembly'].entries())
  testCache({ name, cache: quantised({ bits: 4, group: 16, recent: 5 }), variant: gqa, config, within: 2e-2, device: async () => (await opened)[i] }) // biome-ignore format: one line

it('keeps odd widths and scores that read positions', () => {
  for (const c of [{ ...config, headDim: 12 }, config])
    expect(() => new Runner(tinyModel(gqa, c, { position: { kind: 'none' } }), reference(), { cache: quantised() })).not.toThrow()
  expect(() => new Runner(tinyModel(gqa, { ...config, headDim: 7 }, { position: { kind: 'none' } }), reference(), { cache: quantised() })).toThrow('do not fill bytes') // biome-ignore format: one line
})

it('trims where rows are still there as they were, and says so elsewhere', async () => {
  const model = tinyModel(gqa, config)
  const runner = new Runner(model, reference(), { cache: quantised({ group: 8, sinks: 2, recent: 4 }) })
  const sequence = runner.open()
  const ids = tokens(40)
  const next = async (id: number) => (await (await runner.step([{ sequence, ids: [id] }], lastLogits)).read('logits')).data.slice()
  await runner.feed(sequence, ids.slice(0, 36), noOutput)
  const want = await next(ids[36])
  runner.trim(sequence, 36)
  expect(await next(ids[36])).toEqual(want)
  // Group 3 of rows 26 … 33 is coded from row 38 on.
  await next(1)
  expect(() => runner.trim(sequence, 30)).toThrow('can be trimmed to 26 or fed again')
  expect(sequence.rows).toBe(38)
  runner.trim(sequence, 0)
  expect(sequence.rows).toBe(0)
})
it('takes a fraction of the bytes', async () => {
  const wide = tinyModel(gqa, { dim: 32, heads: 2, kvHeads: 1, headDim: 64 })
  const bytes = async (cache: ReturnType<typeof quantised>) => {
    const runner = new Runner(wide, reference(), { cache, kv: 'f16' })
    await runner.feed(runner.open(), tokens(256), noOutput)
    return runner.cacheBytes
  }
  const [plain, int8, int4] = [
    await bytes(contiguous()),
    await bytes(quantised({ bits: 8, recent: 0 })),
    await bytes(quantised({ recent: 0 })),
  ]
  expect(int8 / plain).toBeLessThan(0.7)
  expect(int4 / plain).toBeLessThan(0.45)
})
