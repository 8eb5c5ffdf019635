import { gqa } from '@attune/attention-heads'
import { contiguous, packSaved, paged, quantised, unpackSaved } from '@attune/cache'
import { Runner } from '@attune/models'
import { type AttuneError, reference } from '@attune/tensor'
import { tinyModel } from '@attune/testing'
import { describe, expect, it } from 'vitest'
import { Session } from './session.ts'
import type { Tokenizer } from './tokenizer.ts'

const model = tinyModel(gqa, { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }, { layers: 2 })
/** Ids are characters. */
const tokenizer = {
  encode: (text: string) => [...text].map(c => c.charCodeAt(0) % 50),
  stream: () => ({ push: (id: number) => String.fromCharCode(65 + id), end: () => '' }),
} as unknown as Tokenizer
const greedy = { temperature: 0, maxTokens: 8 }

describe('a session', () => {
  it.each([contiguous(), quantised({ group: 8, recent: 3 })])(
    'continues after saving and loading as if nothing had happened, $name',
    async cache => {
      const [here, there] = [new Runner(model, reference(), { cache }), new Runner(model, reference(), { cache })]
      const session = new Session(here, tokenizer)
      await session.complete('a first question', greedy)
      const copy = await Session.load(there, tokenizer, await session.save())
      expect(copy.ids).toEqual(session.ids)
      expect(await copy.complete('and more', greedy)).toBe(await session.complete('and more', greedy))
      expect(copy.ids).toEqual(session.ids)
    },
  )
  it('begins with what another one like it left, and says the same', async () => {
    const alone = new Session(new Runner(model, reference(), { cache: paged({ page: 8 }) }), tokenizer)
    const runner = new Runner(model, reference(), { cache: paged({ page: 8 }), prefixBytes: 1e6 })
    const [first, second] = [new Session(runner, tokenizer), new Session(runner, tokenizer)]
    const question = 'a long common introduction, then a question'
    await first.complete(question, greedy)
    const { shared } = runner.sharedBytes
    expect(await second.complete(`${question} of another kind`, greedy)).toBe(await alone.complete(`${question} of another kind`, greedy))
    expect(runner.sharedBytes.shared).toBeGreaterThanOrEqual(shared)
    expect(shared).toBeGreaterThan(0)
    expect(await first.complete(' and on', greedy)).toBeTruthy()
  })
  it.each([contiguous(), quantised({ group: 8, recent: 3 })])('scores texts and stays as it was, $name', async cache => {
    const session = new Session(new Runner(model, reference(), { cache }), tokenizer)
    await session.complete('a first question', greedy)
    const long = Array.from({ length: 30 }, (_, i) => (7 * i) % 50)
    const scores = await session.score(long)
    expect(scores.every(x => x < 0)).toBe(true)
    expect(await session.score(long)).toEqual(scores)
    const alone = new Session(new Runner(model, reference(), { cache }), tokenizer)
    await alone.complete('a first question', greedy)
    expect(await session.complete('more', greedy)).toBe(await alone.complete('more', greedy))
  })
  it('is refused with too few ids or foreign ones, and leaves the runner as it was', async () => {
    const runner = new Runner(model, reference(), { cache: contiguous() })
    const session = new Session(runner, tokenizer)
    await session.complete('hello', greedy)
    const { facts, parts } = unpackSaved(await session.save())
    for (const ids of [undefined, new Int32Array(2), new Int32Array(40).fill(50)]) {
      const own: Record<string, Uint8Array> = ids ? { 'own/ids': new Uint8Array(ids.buffer) } : { 'own/other': new Uint8Array(1) }
      const { 'own/ids': _, ...rest } = parts
      const error: AttuneError = await Session.load(runner, tokenizer, packSaved({ facts, parts: { ...rest, ...own } })).catch(e => e)
      expect(error.code).toBe('ERR_FORMAT')
      expect(error.data).toMatchObject({ field: 'ids' })
    }
    expect(runner.open().row).toBe(1)
  })

  it('puts special tokens before the text that begins it, and no other', async () => {
    const asked: (boolean | undefined)[] = []
    const noting = {
      ...tokenizer,
      encode(text: string, options?: { special?: boolean }) {
        asked.push(options?.special)
        return tokenizer.encode(text)
      },
    }
    const session = new Session(new Runner(model, reference()), noting)
    await session.complete('one', greedy)
    await session.complete('two', greedy)
    expect(asked).toEqual([true, false])
    session.trim(0)
    await session.complete('three', greedy)
    expect(asked).toEqual([true, false, true])
  })
})
