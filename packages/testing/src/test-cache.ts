import type { Variant } from '@attune/attention'
import { type CacheManager, contiguous, type SlotManager } from '@attune/cache'
import { keptBytes } from '@attune/evaluate'
import { lastLogits, noOutput, Runner } from '@attune/models'
import { type Device, reference } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { drive, nmse, tokens } from './drive.ts'
import { poisoned } from './poison.ts'
import { SHUFFLE_BLOCK, shuffled } from './shuffled.ts'
import { type TinyOptions, tinyModel } from './tiny-model.ts'

export interface CacheTestOptions {
  readonly cache: CacheManager
  /** Said in the suite's title. */
  readonly name?: string
  readonly variant: Variant
  readonly config: Record<string, unknown>
  readonly device?: () => Promise<Device>
  readonly mask?: TinyOptions['mask']
  readonly tiny?: TinyOptions
  /** Largest NMSE of the logits against a contiguous cache; more than rounding for managers that keep less than they were given. */
  readonly within?: number
}

/** The conformance suite of a cache manager under a variant: the same numbers whatever the pieces, the batch and the slots, and those of a contiguous cache. */
export function testCache({
  name = 'reference',
  cache,
  variant,
  config,
  device: open = async () => reference(),
  tiny,
  mask = tiny?.mask ?? { kind: 'causal' },
  within = 1e-9,
}: CacheTestOptions): void {
  describe(`${cache.name} cache of ${variant.name}, ${mask.kind} mask, ${name}`, () => {
    const model = tinyModel(variant, config, { layers: 2, ...tiny, mask })
    const length = 4 * SHUFFLE_BLOCK
    const ids = tokens(length)

    it('full = chunked = step by step', async () => {
      const device = poisoned(await open())
      const plain = (await drive(model, device, ids, [length], contiguous())).logits
      const want = (await drive(model, device, ids, [length], cache)).logits
      expect(nmse(want, plain), 'against a contiguous cache').toBeLessThan(within)
      for (const pieces of [[40, length - 40], [11, 11, 11, 11, 11, 9], [...new Array(length).fill(1)]])
        expect(nmse((await drive(model, device, ids, pieces, cache)).logits, want), `pieces ${pieces.slice(0, 3)}`).toBeLessThan(1e-9)
    })
    const slots = 'layout' in cache ? (cache as SlotManager) : undefined
    // Blocks that are pooled and picked are runs of slots: their rows stay in order.
    const pooled = Object.values(variant.state(config)).some(kind => kind.kind === 'pool')
    it.runIf(slots && !pooled)('does not depend on where slots lie', async () => {
      const device = poisoned(await open())
      const pieces = new Array(length / SHUFFLE_BLOCK).fill(SHUFFLE_BLOCK)
      const want = (await drive(model, device, ids, pieces, cache)).logits
      for (const seed of [1, 2])
        expect(nmse((await drive(model, device, ids, pieces, shuffled(slots!, seed))).logits, want)).toBeLessThan(1e-9)
    })
    it('a row alone = a row in a batch, bitwise', async () => {
      const device = await open()
      const alone = await lastOf(model, device, cache, [ids.slice(0, 30)])
      const batch = await lastOf(model, device, cache, [ids.slice(5, 25), ids.slice(0, 30), ids.slice(9, 10)])
      expect(batch[1]).toEqual(alone[0])
    })
    it('decodes through two buckets in at most 3 recordings', async () => {
      const device = await open()
      const runner = new Runner(model, device, { cache })
      const sequence = runner.open()
      for (const id of tokens(device.host ? 140 : 300)) await runner.step([{ sequence, ids: [id] }], noOutput)
      expect(runner.recorded).toBeLessThanOrEqual(3)
      await runner.dispose()
    })
    it.runIf(cache.bytesFor)('allocates the bytes it declares', async () => {
      for (const [batchRows, rows] of [
        [1, 41],
        [3, 70],
      ] as const) {
        // biome-ignore format: pairs
        const runner = new Runner(model, await open(), { cache, chunk: 64 })
        const sequences = Array.from({ length: batchRows }, () => runner.open())
        for (const s of sequences) await runner.feed(s, tokens(rows), noOutput)
        expect(runner.cacheBytes).toBe(keptBytes(model.spec, model.variants, { rows, batchRows, cache, chunk: 64 }))
        await runner.dispose()
      }
    })
    it('continues bit for bit after saving and loading, and says when it cannot save', async () => {
      const device = await open()
      const [one, other] = [new Runner(model, poisoned(device), { cache }), new Runner(model, poisoned(device), { cache })]
      const origin = one.open()
      await one.feed(origin, ids.slice(0, 41), noOutput)
      const refusal = await one.save(origin).then(
        () => undefined,
        (error: { code: string }) => error.code,
      )
      if (refusal) expect(refusal).toBe('ERR_UNSUPPORTED')
      else {
        const { sequence } = await other.load(await one.save(origin))
        for (const id of ids.slice(41, 46)) {
          const [a, b] = [
            await one.step([{ sequence: origin, ids: [id] }], lastLogits),
            await other.step([{ sequence, ids: [id] }], lastLogits),
          ]
          expect((await b.read('logits')).data).toEqual((await a.read('logits')).data)
        }
      }
      await one.dispose()
      await other.dispose()
    })
    it('a fork continues as its origin does, and leaves it alone', async () => {
      const device = await open()
      const runner = new Runner(model, device, { cache, chunk: 32 })
      const origin = runner.open()
      await runner.feed(origin, ids.slice(0, 20), noOutput)
      const copy = await runner.fork(origin)
      const next = async (s: typeof origin, id: number): Promise<Float32Array> => {
        const { data, shape } = await (await runner.step([{ sequence: s, ids: [id] }], lastLogits)).read('logits')
        return (data as Float32Array).slice(s.row * shape[1], (s.row + 1) * shape[1])
      }
      await next(copy, 7)
      expect(await next(origin, ids[20])).toEqual(
        await (async () => {
          const third = await lastOf(model, device, cache, [ids.slice(0, 21)], [20, 1])
          return third[0]
        })(),
      )
      await runner.dispose()
    })
  })
}

/** Last logits of each list, all in one runner, fed side by side in the given pieces. */
async function lastOf(
  model: ReturnType<typeof tinyModel>,
  device: Device,
  cache: CacheManager,
  lists: readonly number[][],
  pieces?: number[],
): Promise<Float32Array[]> {
  const runner = new Runner(model, device, { cache, chunk: 128 })
  const sequences = lists.map(() => runner.open())
  let out: Float32Array[] = []
  const cuts = pieces ?? [Math.max(...lists.map(l => l.length))]
  let at = 0
  for (const n of cuts) {
    const r = await runner.step(
      lists.map((l, i) => ({ sequence: sequences[i], ids: l.slice(at, at + n) })),
      lastLogits,
    )
    const { data, shape } = await r.read('logits')
    out = sequences.map(s => (data as Float32Array).slice(s.row * shape[1], (s.row + 1) * shape[1]))
    at += n
  }
  await runner.dispose()
  return out
}
