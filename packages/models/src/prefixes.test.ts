import { gqa } from '@attune/attention-heads'
import { gatedDeltanet } from '@attune/attention-linear'
import { type CacheManager, contiguous, paged, quantised } from '@attune/cache'
import { reference } from '@attune/tensor'
import { tinyModel, tokens } from '@attune/testing'
import { describe, expect, it } from 'vitest'
import { lastLogits, noOutput } from './probes.ts'
import { Runner, type Sequence } from './runner.ts'

const model = tinyModel(gqa, { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }, { layers: 2 })
const run = (cache: CacheManager, prefixBytes = 1e9, of = model) => new Runner(of, reference(), { cache, prefixBytes })
const prompt = tokens(48)
const other = [...prompt.slice(0, 40), 1, 2, 3, 4]

async function last(runner: Runner, sequence: Sequence, ids: readonly number[]): Promise<Float32Array> {
  const { data, shape } = await (await runner.step([{ sequence, ids }], lastLogits)).read('logits')
  return data.slice(sequence.row * shape[1], (sequence.row + 1) * shape[1]) as Float32Array
}

describe.each([paged({ page: 8 }), quantised({ group: 8, recent: 3 })])('beginnings in the $name cache', cache => {
  it('are shared by sequences that begin alike, and change no bit', async () => {
    const runner = run(cache)
    const first = runner.open()
    await runner.feed(first, prompt.slice(0, 40), noOutput)
    expect(await runner.keep(first, prompt)).toBe(40)
    const before = runner.sharedBytes.kept
    expect(before).toBeGreaterThan(0)
    const [a, b] = [await runner.begin(other), runner.open()]
    expect(a.rows).toBe(40)
    await runner.feed(b, other.slice(0, 40), noOutput)
    expect(await last(runner, a, other.slice(40))).toEqual(await last(runner, b, other.slice(40)))
    // The first sequence goes on as if nobody shared.
    const alone = run(cache)
    const same = alone.open()
    await alone.feed(same, prompt.slice(0, 40), noOutput)
    expect(await last(runner, first, prompt.slice(40))).toEqual(await last(alone, same, prompt.slice(40)))
    expect(runner.sharedBytes.shared).toBeGreaterThan(0)
  })
  it('outlive the sequence that left them, and leave a token to feed', async () => {
    const runner = run(cache)
    const first = runner.open()
    await runner.feed(first, prompt.slice(0, 40), noOutput)
    await runner.keep(first, prompt)
    const want = await last(runner, first, prompt.slice(40))
    runner.close(first)
    const again = await runner.begin(prompt)
    expect(again.rows).toBe(40)
    expect(await last(runner, again, prompt.slice(40))).toEqual(want)
    expect((await runner.begin(prompt.slice(0, 40))).rows).toBeLessThan(40)
    expect((await runner.begin([9, ...prompt])).rows).toBe(0)
  })
  it('go when their bytes are wanted', async () => {
    const runner = run(cache, 1)
    const first = runner.open()
    await runner.feed(first, prompt.slice(0, 40), noOutput)
    await runner.keep(first, prompt)
    expect(runner.sharedBytes.kept).toBe(0)
    expect((await runner.begin(prompt)).rows).toBe(0)
  })
})

it('shares pages once: a second sequence adds only its own', async () => {
  const small = tinyModel(gqa, { dim: 16, heads: 2, kvHeads: 1, headDim: 8 })
  const bytes = async (prefixBytes: number) => {
    const runner = new Runner(small, reference(), { cache: paged({ page: 8 }), prefixBytes })
    for (let i = 0; i < 4; i++) {
      const ids = [...tokens(160), i]
      const sequence = await runner.begin(ids)
      await runner.feed(sequence, ids.slice(sequence.rows, 160), noOutput)
      await runner.keep(sequence, ids)
      await runner.feed(sequence, [i], noOutput)
    }
    return runner.cacheBytes
  }
  const [shared, apart] = [await bytes(1e9), await bytes(0)]
  expect(shared).toBeLessThan(apart / 2)
})
it('finds shorter beginnings in pages, in whole pages', async () => {
  const runner = run(paged({ page: 16 }))
  const first = runner.open()
  await runner.feed(first, prompt, noOutput)
  expect(await runner.keep(first, prompt)).toBe(48)
  expect((await runner.begin([...prompt.slice(0, 39), 0, 0])).rows).toBe(32)
})
it('takes states of fixed size along as they stood', async () => {
  const linear = tinyModel(gatedDeltanet, { dim: 20, keyHeads: 2, valueHeads: 4, keyDim: 6, valueDim: 5 }, { layers: 2 })
  const runner = run(paged({ page: 8 }), 1e9, linear)
  const first = runner.open()
  await runner.feed(first, prompt.slice(0, 40), noOutput)
  expect(await runner.keep(first, prompt)).toBe(40)
  const want = await last(runner, first, other.slice(40))
  const again = await runner.begin(other)
  expect(again.rows).toBe(40)
  expect(await last(runner, again, other.slice(40))).toEqual(want)
  // It stands elsewhere now.
  expect(await runner.keep(first, [...prompt.slice(0, 40), ...other.slice(40)])).toBe(0)
})
it('are refused where rows cannot be shared', () => {
  expect(() => run(contiguous())).toThrow('cannot share beginnings')
})
