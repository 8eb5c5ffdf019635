import { gqa } from '@attune/attention-heads'
import { mla } from '@attune/attention-latent/mla'
import { cpu } from '@attune/backend-cpu'
import { lastLogits, noOutput, Runner, type Sequence } from '@attune/models'
import { reference } from '@attune/tensor'
import { nmse, poisoned, testCache, testPolicy, tinyModel, tokens } from '@attune/testing'
import { afterAll, expect, it } from 'vitest'
import type { Keeper } from './keeper.ts'
import type { CacheManager } from './manager.ts'
import { evicting } from './paged.ts'
import { adaKv, h2o, snapKv, streamingLlm } from './policies/index.ts'
import type { EvictionPolicy, Kept } from './policy.ts'

const device = await cpu({ threads: 1 })
afterAll(() => device.close())
const config = { dim: 24, heads: 4, kvHeads: 2, headDim: 8 }
const model = tinyModel(gqa, config, { layers: 2 })
const window = { window: 4 }
const packed = { group: 8, sinks: 2, recent: 3 } as const

testCache({ name: 'native', cache: evicting(snapKv(window), { rows: 0.5 }, { page: 8, packed }), variant: gqa, config, device: async () => device }) // biome-ignore format: one line
for (const policy of [adaKv({ by: snapKv(window) }), h2o({ after: 8 })]) testPolicy({ policy, variant: gqa, config })

/** The policy, and all it chose. */
function watched(policy: EvictionPolicy): { policy: EvictionPolicy; plans: Kept[] } {
  const plans: Kept[] = []
  const plan: EvictionPolicy['plan'] = (...seen) => {
    plans.push(policy.plan(...seen))
    return plans[plans.length - 1]
  }
  return { plans, policy: { ...policy, plan } }
}
const open = (cache: CacheManager) => new Runner(model, poisoned(device), { cache, chunk: 64 })
async function prompt(runner: Runner, ids: number[]): Promise<Sequence> {
  const sequence = runner.open()
  await runner.feed(sequence, ids, noOutput, undefined, { settle: true })
  return sequence
}
async function decode(runner: Runner, sequence: Sequence, ids: readonly number[]): Promise<number[]> {
  const out: number[] = []
  for (const id of ids) {
    const { data, shape } = await (await runner.step([{ sequence, ids: [id] }], lastLogits)).read('logits')
    for (const x of data.slice(sequence.row * shape[1], (sequence.row + 1) * shape[1])) out.push(x)
  }
  return out
}

it.each([
  ['snapkv', snapKv(window), 8, 1e-4],
  ['snapkv', snapKv(window), 4, 2e-2],
  ['adakv, heads of unlike length', adaKv({ by: snapKv(window) }), 8, 1e-4],
  ['streaming, at new positions', streamingLlm(), 8, 1e-4],
] as const)('%s: what it keeps, packed, gives what it gives as it is (%#: bits and NMSE)', async (_, policy, bits, within) => {
  const run = async (manager: (p: EvictionPolicy) => CacheManager) => {
    const own = watched(policy)
    const runner = open(manager(own.policy))
    const sequence = await prompt(runner, tokens(90))
    const fork = await runner.fork(sequence)
    const logits = await decode(runner, sequence, tokens(30, 50, 5))
    // What is decoded is packed too.
    expect(await decode(runner, fork, tokens(30, 50, 5))).toEqual(logits)
    await runner.dispose()
    return { logits, plans: own.plans }
  }
  const want = await run(p => evicting(p, { rows: 0.5 }, { page: 8 }))
  const have = await run(p => evicting(p, { rows: 0.5 }, { page: 8, packed: { ...packed, bits } }))
  expect(have.plans).toEqual(want.plans)
  expect(nmse(have.logits, want.logits)).toBeLessThan(within)
  expect(have.logits).not.toEqual(want.logits)
})

it('allocates the codes of whole groups, and pages of the rest', async () => {
  const own = watched(adaKv({ by: snapKv(window) }))
  let keeper: Keeper | undefined
  const manager = evicting(own.policy, { rows: 0.5 }, { page: 4, packed })
  const runner = open({ ...manager, open: o => (keeper = manager.open(o)) })
  const plain = open(evicting(adaKv({ by: snapKv(window) }), { rows: 0.5 }, { page: 4 }))
  const sequence = await prompt(runner, tokens(600))
  await prompt(plain, tokens(600))
  const sizes = Object.entries(keeper!.buffers())
    .filter(([name]) => name.startsWith('packed.') && name.includes(':'))
    .reduce((n, [, b]) => n + b.bytes, 0)
  const groups = own.plans[0].map(layer => layer!.reduce((n, slots) => n + Math.floor(slots!.filter(s => s >= 2 && s < 597).length / 8), 0))
  // A group of a head: 8 · 8 / 2 bytes of codes and two bytes a channel for keys, two a token for values; room for one in 64 more.
  const each = 32 + 16 + 32 + 16
  const least = (groups[0] + groups[1]) * each
  expect(sizes).toBeGreaterThanOrEqual(least)
  expect(sizes).toBeLessThanOrEqual(least * 1.04)
  expect(runner.cacheBytes).toBeLessThan(0.35 * plain.cacheBytes)
  // What is decoded is packed in turn: rows as they are stay few.
  const rest = runner.cacheBytes - sizes
  await decode(runner, sequence, tokens(100))
  const later = Object.entries(keeper!.buffers())
    .filter(([name]) => name.startsWith('packed.') && name.includes(':'))
    .reduce((n, [, b]) => n + b.bytes, 0)
  expect(later).toBeGreaterThan(sizes)
  expect(runner.cacheBytes - later).toBeLessThanOrEqual(rest)
  await runner.dispose()
  await plain.dispose()
})

it('a prompt beside a packed sequence is observed as if alone', async () => {
  const alone = watched(snapKv(window))
  const beside = watched(snapKv(window))
  const manager = (p: EvictionPolicy) => evicting(p, { rows: 0.25 }, { page: 4, packed })
  const [one, two] = [open(manager(alone.policy)), open(manager(beside.policy))]
  const first = await prompt(two, tokens(70, 50, 8))
  const [a, b] = [await prompt(one, tokens(90)), await prompt(two, tokens(90))]
  expect(beside.plans[1]).toEqual(alone.plans[0])
  const want = await decode(one, a, [3, 4, 5])
  await decode(two, first, [1])
  expect(nmse(await decode(two, b, [3, 4, 5]), want)).toBeLessThan(1e-10)
  // A second prompt of a packed sequence is read without the policy.
  await two.feed(first, tokens(20), noOutput, undefined, { settle: true })
  expect(beside.plans.length).toBe(2)
  await one.dispose()
  await two.dispose()
})

it('records few steps while what is decoded is packed', async () => {
  const runner = open(evicting(snapKv(window), { rows: 0.5 }, { page: 8, packed }))
  const sequence = await prompt(runner, tokens(60))
  const before = runner.recorded
  await decode(runner, sequence, tokens(140))
  expect(runner.recorded - before).toBeLessThanOrEqual(3)
  await runner.dispose()
})

it('refuses by name what it cannot pack', () => {
  const cache = (policy: EvictionPolicy) => evicting(policy, { rows: 8 }, { packed })
  expect(() => open(cache(h2o({ after: 8 })))).toThrow(/h2o.*acts again every 8 rows/)
  const odd = tinyModel(gqa, { ...config, headDim: 7 }, { position: { kind: 'none' } })
  expect(() => new Runner(odd, reference(), { cache: cache(snapKv(window)) })).toThrow('do not fill bytes')
  expect(() => evicting(snapKv(), { rows: 8 }, { packed: { group: 0 } })).toThrow('whole numbers')
})

it('packs latents and their shared key', async () => {
  const latent = tinyModel(mla, { dim: 32, heads: 3, nopeDim: 8, ropeDim: 8, valueDim: 12, latent: 16 })
  const run = async (options: Parameters<typeof evicting>[2]) => {
    const runner = new Runner(latent, poisoned(device), { cache: evicting(snapKv(window), { rows: 0.5 }, options) })
    const sequence = await prompt(runner, tokens(80))
    return decode(runner, sequence, [1, 2, 3])
  }
  expect(nmse(await run({ packed: { ...packed, bits: 8 } }), await run({}))).toBeLessThan(1e-4)
})
