import { gqa } from '@attune/attention-heads'
import { allLogits, noOutput, Runner, type Sequence } from '@attune/models'
import { bytesOf, reference, tensor } from '@attune/tensor'
import { nmse, poisoned, tinyModel, tokens } from '@attune/testing'
import { expect, it } from 'vitest'
import { contiguous } from '../contiguous.ts'
import type { CacheManager } from '../manager.ts'
import { roomy } from '../page-pool.ts'
import { evicting, paged } from '../paged.ts'
import type { EvictionPolicy, Kept } from '../policy.ts'
import { adaKv, duoAttention, h2o, headKv, keyDiff, knorm, kvZip, pyramidKv, randomRows, snapKv, streamingLlm, tova } from './index.ts'

const config = { dim: 24, heads: 4, kvHeads: 2, headDim: 8 }
const model = tinyModel(gqa, config, { layers: 2 })
const ids = tokens(60)
const prompt = ids.slice(0, 50)
const window = { window: 4 }
const policies: EvictionPolicy[] = [
  snapKv(window),
  h2o(),
  tova(),
  knorm(),
  keyDiff(),
  streamingLlm({ rerotate: false }),
  randomRows(),
  adaKv({ by: snapKv(window) }),
  pyramidKv({ window: 2, beta: 4 }),
  headKv({ window: 4, by: snapKv(window) }),
  duoAttention({ sinks: 2, recent: 4 }),
  kvZip({ question: [1, 2], suffix: [3], chunk: 20 }),
]
const named = policies.map(p => [p.name, p] as const)

/** Logits of the tokens after the prompt, one at a time. */
async function following(runner: Runner, sequence: Sequence): Promise<Float32Array> {
  const out: number[] = []
  for (const id of ids.slice(50)) {
    const { data } = await (await runner.step([{ sequence, ids: [id] }], allLogits)).read('logits')
    for (const x of data) out.push(x)
  }
  return Float32Array.from(out)
}
async function read(cache: CacheManager, pieces: readonly number[][] = [prompt]): Promise<{ runner: Runner; sequence: Sequence }> {
  const runner = new Runner(model, poisoned(reference()), { cache })
  const sequence = runner.open()
  for (const [i, piece] of pieces.entries()) await runner.feed(sequence, piece, noOutput, undefined, { settle: i === pieces.length - 1 })
  return { runner, sequence }
}
/** The policy, and what it chose last. */
function watched(policy: EvictionPolicy): { policy: EvictionPolicy; kept(): Kept } {
  let kept: Kept = []
  return {
    kept: () => kept,
    policy: { ...policy, plan: (observed, budget, rehearsed) => (kept = policy.plan(observed, budget, rehearsed)) },
  }
}

it.each(named)('%s: a full budget gives the bits of no policy', async (_, policy) => {
  const { runner, sequence } = await read(evicting(policy, { rows: 50 }))
  const { mass, queries } = policy.observes
  const seen = mass === 'all' ? 0 : Math.min(50, Math.max(mass ?? 0, queries ?? 0))
  const plain = await read(paged(), [prompt.slice(0, 50 - seen), prompt.slice(50 - seen)])
  expect(await following(runner, sequence)).toEqual(await following(plain.runner, plain.sequence))
  await runner.dispose()
  await plain.runner.dispose()
})

it.each(named)('%s: what follows attends to the rows that stayed, and to no others', async (_, policy) => {
  const own = watched(policy)
  const { runner, sequence } = await read(evicting(own.policy, { rows: 0.4 }, { page: 4 }))
  const hiding = hidden()
  const other = await read(hiding.cache)
  hiding.hide(own.kept(), 50)
  expect(nmse(await following(runner, sequence), await following(other.runner, other.sequence))).toBeLessThan(1e-10)
  await runner.dispose()
  await other.runner.dispose()
})

const uneven = [snapKv(window), adaKv({ by: snapKv(window) }), duoAttention({ sinks: 2, recent: 20 })]
it.each(uneven.map(p => [p.name, p] as const))('%s: bytes allocated are those of the pages it keeps', async (_, policy) => {
  const long = tokens(400)
  const own = watched(policy)
  const { runner } = await read(evicting(own.policy, { rows: 0.5 }, { page: 4 }), [long])
  const whole = await read(paged({ page: 4 }), [long])
  const pages = own.kept().map(layer => layer!.reduce((n, slots) => n + Math.ceil(slots!.length / 4), 0))
  const layers = pages.map(n => roomy(n, 2 * (128 / 4)) * 4 * 2 * bytesOf('f32', 8))
  expect(runner.cacheBytes).toBe(layers[0] + layers[1])
  expect(runner.cacheBytes).toBeLessThan(0.63 * whole.runner.cacheBytes)
  await runner.dispose()
  await whole.runner.dispose()
})

it('sequences of a batch are evicted one by one, and a fork continues from what stayed', async () => {
  const cache = evicting(adaKv({ by: snapKv(window) }), { rows: 0.4 }, { page: 4 })
  const alone = await read(cache)
  const want = await following(alone.runner, alone.sequence)
  const runner = new Runner(model, poisoned(reference()), { cache })
  const [first, second] = [runner.open(), runner.open()]
  await runner.feed(first, ids.slice(7, 47), noOutput, undefined, { settle: true })
  await runner.feed(second, prompt, noOutput, undefined, { settle: true })
  const fork = await runner.fork(second)
  await runner.step([{ sequence: first, ids: [5] }], noOutput)
  expect(nmse(await following(runner, second), want)).toBeLessThan(1e-10)
  expect(nmse(await following(runner, fork), want)).toBeLessThan(1e-10)
  await runner.dispose()
  await alone.runner.dispose()
})

it('a policy that acts again keeps its budget while decoding', async () => {
  const own = watched(h2o({ after: 8 }))
  const { runner, sequence } = await read(evicting(own.policy, { rows: 16 }, { page: 4 }))
  const before = runner.cacheBytes
  for (let i = 0; i < 40; i++) await runner.step([{ sequence, ids: [i] }], noOutput)
  expect(
    own
      .kept()
      .flat()
      .map(slots => slots!.length),
  ).toEqual([16, 16, 16, 16])
  expect(runner.cacheBytes).toBe(before)
  expect(sequence.rows).toBe(90)
  await runner.dispose()
})

it('a policy that watches more queries than a step holds is refused', () => {
  expect(() => new Runner(model, reference(), { cache: evicting(snapKv({ window: 9 }), { rows: 4 }), chunk: 8 })).toThrow(
    /9 queries.*8 tokens/,
  )
})

/** A contiguous cache that hides rows: their number says that they are still to come, so a causal mask leaves them out. */
function hidden(): { cache: CacheManager; hide(kept: Kept, until: number): void } {
  let kept: Kept | undefined
  let until = 0
  const plain = contiguous()
  const rowsOf = (layer: number, heads: number, capacity: number) =>
    tensor(
      Int32Array.from({ length: heads * capacity }, (_, i) => {
        const [head, slot] = [Math.floor(i / capacity), i % capacity]
        return slot >= until || kept![layer]![head]!.includes(slot) ? slot : 2 ** 30
      }),
      [1, heads, capacity],
    )
  const cache: CacheManager = {
    ...plain,
    open(options) {
      const keeper = plain.open(options)
      return new Proxy(keeper, {
        get(target, name) {
          if (name === 'key') return `${target.key}${kept ? ' hiding' : ''}`
          if (name !== 'graph') {
            const own = Reflect.get(target, name, target)
            return typeof own === 'function' ? own.bind(target) : own
          }
          return (...args: Parameters<typeof keeper.graph>) => {
            const viewOf = target.graph(...args)
            return (layer: number) => {
              const view = viewOf(layer)
              return {
                ...view,
                append(values: Parameters<typeof view.append>[0]) {
                  const past = view.append(values)
                  if (!kept) return past
                  const [, heads, capacity] = past.parts.k.shape as readonly number[]
                  const rows = rowsOf(layer, heads, capacity)
                  return { ...past, rows: { k: rows, v: rows } }
                },
              }
            }
          }
        },
      })
    },
  }
  return {
    cache,
    hide(own, count) {
      kept = own
      until = count
    },
  }
}
