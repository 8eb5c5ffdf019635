import { gqa, mha, mqa } from '@attune/attention-heads'
import { allLogits, llama, modelFrom, Runner } from '@attune/models'
import { reference } from '@attune/tensor'
import { openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { needle, passKeys } from './index.ts'

const filler = Array.from({ length: 300 }, (_, i) => 200 + (i % 50))
/** A token per character. */
const encode = (text: string): number[] => Array.from(text, c => c.charCodeAt(0) % 128)
const options = { filler, tokens: 350, depths: [0, 0.5, 1] }

it('hides a pass key at the depth asked for', () => {
  const cases = passKeys(encode, options)
  expect(cases.map(c => [c.ids.length, c.depth])).toEqual([
    [350, 0],
    [350, 0.5],
    [350, 1],
  ])
  for (const { ids, answer, depth } of cases) {
    const text = String.fromCharCode(...ids)
    const key = String.fromCharCode(...answer)
    expect(key).toMatch(/^[1-9][0-9]{4}$/)
    const room = ids.filter(id => id >= 200).length
    const before = ids.slice(0, text.indexOf(`The pass key is ${key}. Remember it.`)).filter(id => id >= 200).length
    expect(before).toBe(Math.round(depth * room))
    expect(text.endsWith('What is the pass key? The pass key is ')).toBe(true)
  }
  expect(new Set(cases.map(c => c.answer.join())).size).toBe(3)
  expect(passKeys(encode, options)).toEqual(cases)
  expect(() => passKeys(encode, { ...options, tokens: 900 })).toThrow(/900 tokens needs \d+ tokens of text, got 300/)
})

it('finds what the model likes best', async () => {
  const folder = new URL('../../models/test/fixtures/llama-gqa-tied', import.meta.url).pathname
  const model = modelFrom(await openCheckpoint(await diskFolder(folder)), llama, new Map([mha, mqa, gqa].map(v => [v.name, v])))
  const runner = new Runner(model, reference())
  const prompt = Array.from({ length: 12 }, (_, i) => (i * 37 + 5) % 200)
  const greedy: number[] = []
  for (let i = 0; i < 3; i++) {
    const sequence = runner.open()
    const { data, shape } = await (await runner.step([{ sequence, ids: [...prompt, ...greedy] }], allLogits)).read('logits')
    const last = Array.from(data.subarray(data.length - shape[1], data.length))
    greedy.push(last.indexOf(Math.max(...last)))
    runner.close(sequence)
  }
  const wrong = [...greedy.slice(0, 2), (greedy[2] + 1) % 256]
  const read = (sequence: Parameters<Parameters<typeof needle>[2]>[0], ids: readonly number[]) => runner.feed(sequence, ids, allLogits)
  const result = await needle(
    runner,
    [
      { ids: prompt, answer: greedy, depth: 0 },
      { ids: prompt, answer: wrong, depth: 1 },
    ],
    read,
  )
  expect(result.cases.map(c => c.found)).toEqual([true, false])
  expect(result.recall).toBe(0.5)
  expect(result.cases[0].logprob).toBeGreaterThan(result.cases[1].logprob)
  expect(result.logprob).toBeCloseTo((result.cases[0].logprob + result.cases[1].logprob) / 2, 6)
  await runner.dispose()
})
