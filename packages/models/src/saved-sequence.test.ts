import { gqa } from '@attune/attention-heads'
import { contiguous, packSaved, paged, quantised, unpackSaved } from '@attune/cache'
import { type AttuneError, q8_0, reference } from '@attune/tensor'
import { tinyModel, tokens } from '@attune/testing'
import { describe, expect, it } from 'vitest'
import { lastLogits, noOutput } from './probes.ts'
import { Runner, type RunnerOptions } from './runner.ts'

const model = tinyModel(gqa, { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }, { layers: 2 })
const other = tinyModel(gqa, { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }, { layers: 2, seed: 2 })
const run = (options: RunnerOptions = {}, of = model) => new Runner(of, reference(), { cache: contiguous(), ...options })
const codeOf = (p: Promise<unknown>): Promise<AttuneError> => p.then(() => expect.fail('it was accepted'), e => e) // biome-ignore format: one line

async function saved(options?: RunnerOptions): Promise<Uint8Array> {
  const runner = run(options)
  const sequence = runner.open()
  await runner.feed(sequence, tokens(40), noOutput)
  const bytes = await runner.save(sequence, { note: Uint8Array.of(1, 2, 3) })
  await runner.dispose()
  return bytes
}

describe('a saved sequence', () => {
  it('comes back in another batch row, with the caller’s own parts', async () => {
    const runner = run()
    const [first, second] = [runner.open(), runner.open()]
    await runner.feed(first, tokens(40), noOutput)
    const { sequence, own } = await runner.load(await saved())
    expect([...own.note]).toEqual([1, 2, 3])
    expect(sequence.row).toBe(2)
    const step = await runner.step(
      [
        { sequence: first, ids: [7] },
        { sequence: second, ids: [9] },
        { sequence, ids: [7] },
      ],
      lastLogits,
    )
    const { data, shape } = await step.read('logits')
    const of = (row: number) => data.slice(row * shape[1], (row + 1) * shape[1])
    expect(of(2)).toEqual(of(0))
    await runner.dispose()
  })
  it.each<[string, RunnerOptions, typeof model]>([
    ['model', {}, other],
    ['cache', { cache: quantised() }, model],
    ['cache', { cache: paged() }, model],
    ['kv', { kv: 'f16' }, model],
  ])('of another %s is refused', async (name, options, of) => {
    const error = await codeOf(run(options, of).load(await saved()))
    expect(error.code).toBe('ERR_ARGUMENT')
    expect(error.data).toMatchObject({ name })
  })
  it('of quantised rows says with which settings', async () => {
    const error = await codeOf(run({ cache: quantised({ group: 8 }) }).load(await saved({ cache: quantised({ group: 16 }) })))
    expect(error.code).toBe('ERR_ARGUMENT')
    expect(error.message).toContain('"group":8')
  })
  it('is checked before anything is allocated or changed', async () => {
    const bytes = await saved()
    const { facts, parts } = unpackSaved(bytes)
    const changed = (over: object, more: object = {}) => packSaved({ facts: { ...facts, ...over }, parts: { ...parts, ...more } })
    const { 'rows/k.0': _, ...without } = parts
    const cases: [string, Uint8Array][] = [
      ['file', bytes.subarray(0, 10)],
      ['magic', Uint8Array.from(bytes, (x, i) => (i === 0 ? 0 : x))],
      ['version', Uint8Array.from(bytes, (x, i) => (i === 8 ? 9 : x))],
      ['header length', Uint8Array.from(bytes, (x, i) => (i >= 12 && i < 16 ? 255 : x))],
      ['header', Uint8Array.from(bytes, (x, i) => (i === 16 ? 0 : x))],
      ['drawn', bytes.subarray(0, bytes.length - 5)],
      ['file', Uint8Array.of(...bytes, 0)],
      ['facts.rows', changed({ rows: -1 })],
      ['facts.rows', changed({ rows: 1.5 })],
      ['rows/k.0', changed({ rows: 2 ** 30 })],
      ['rows/k.0', packSaved({ facts, parts: without })],
      ['rows/k.9', changed({}, { 'rows/k.9': new Uint8Array(4) })],
      ['facts.model', changed({ model: 7 })],
    ]
    const runner = run()
    for (const [field, hostile] of cases) {
      const error = await codeOf(runner.load(hostile))
      expect(error.code, field).toBe('ERR_FORMAT')
      // A file cut short names what reaches beyond its end.
      expect(error.data, field).toMatchObject(field === 'drawn' ? {} : { field })
    }
    expect(runner.cacheBytes).toBe(0)
    expect(runner.open().row).toBe(0)
  })
  it('of packed rows continues as they were', async () => {
    const wide = tinyModel(gqa, { dim: 32, heads: 2, kvHeads: 1, headDim: 32 }, { layers: 1 })
    const [a, b] = [run({ kv: q8_0 }, wide), run({ kv: q8_0 }, wide)]
    const origin = a.open()
    await a.feed(origin, tokens(20), noOutput)
    const { sequence } = await b.load(await a.save(origin))
    const next = async (r: Runner, s: typeof origin) => (await (await r.step([{ sequence: s, ids: [3] }], lastLogits)).read('logits')).data
    expect(await next(b, sequence)).toEqual(await next(a, origin))
  })
})
