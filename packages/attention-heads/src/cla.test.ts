import { readFileSync } from 'node:fs'
import { causal } from '@attune/attention'
import { cpu } from '@attune/backend-cpu'
import {
  automatic,
  type CacheManager,
  contiguous,
  type EvictionPolicy,
  evicting,
  type Observed,
  paged,
  quantised,
  ring,
  turned,
  windowStates,
} from '@attune/cache'
import { snapKv } from '@attune/cache/policies'
import { keptBytes } from '@attune/evaluate'
import { lastLogits, type Model, noOutput, Runner } from '@attune/models'
import { bindParams } from '@attune/nn'
import { bindPosition, ropeFrequencies } from '@attune/position'
import { Constant, fill, iota, mapWith, q4_0, readAll, reference, type Storage, type Tensor, tensor } from '@attune/tensor'
import { drive, nmse, testAttention, testCache, tinyModel, tokens } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { type ClaConfig, cla } from './cla.ts'
import { gqa } from './gqa.ts'

const opened = Promise.all([cpu({ threads: 2 }), cpu({ backend: 'wasm', threads: 2 })])
afterAll(async () => {
  for (const d of await opened) await d.close()
})
const config = { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }
/** Layer 1 reads layer 0's rows, layer 3 layer 2's. */
const others = { 1: { owner: 0 }, 3: { owner: 2 } }
const tiny = { layers: 2, others }

testAttention(cla, { configs: [config], tiny, devices: () => opened })
testCache({ cache: contiguous(), variant: cla, config, tiny })
testCache({ cache: ring(), variant: cla, config, tiny, mask: { kind: 'window', size: 20 } })
testCache({ cache: paged({ page: 8 }), variant: cla, config, tiny })
testCache({ cache: turned(paged({ page: 8 })), variant: cla, config, tiny })
testCache({ cache: quantised({ group: 8, recent: 3 }), variant: cla, config, tiny, within: 5e-2 })
testCache({ cache: evicting(snapKv({ window: 8 }), { rows: 0.5 }, { page: 8, packed: { group: 8, recent: 3 } }), variant: cla, config, tiny }) // biome-ignore format: one line
testCache({ cache: quantised({ group: 8, recent: 3 }), variant: cla, config, tiny, within: 5e-2, name: 'native', device: async () => (await opened)[0] }) // biome-ignore format: one line

it('equals a float64 transcription of the paper', async () => {
  const oracle = JSON.parse(readFileSync(new URL('../test/cla.json', import.meta.url), 'utf8'))
  const n: number = oracle.tokens
  const configs: ClaConfig[] = [oracle.config, { ...oracle.config, owner: 0 }]
  const offsets = tensor([0, n], [2], 'i32')
  const step = { count: n, batchRows: 1, batch: fill(0, [n], 'i32'), row: iota(n), position: iota(n), offsets }
  const states = windowStates(step)
  const layer = (i: number, x: Tensor) => {
    const values = ['q', 'k', 'v', 'o'].flatMap(name => {
      const data = oracle.weights[`${i}.${name}`] as number[] | undefined
      const rows = name === 'o' ? configs[i].dim : (name === 'q' ? configs[i].heads : configs[i].kvHeads) * configs[i].headDim
      if (!data) return []
      return [[name, { weight: new Constant('f32', [rows, data.length / rows], new Uint8Array(Float32Array.from(data).buffer)) }] as const]
    })
    const params = bindParams(cla.params(configs[i]), new Map(values))
    const position = bindPosition({ kind: 'rope', dims: 6, theta: 10000, pairing: 'half', maxPositions: 64 }, step.position, spec => {
      const { values: frequencies, factor } = ropeFrequencies(spec, n)
      return { frequencies: tensor(frequencies, [frequencies.length]), factor }
    })
    return cla.forward({ x, params, position, state: states(i, cla.state(configs[i]), params), mask: causal, config: configs[i] })
  }
  const x = tensor(Float32Array.from(oracle.x), [n, oracle.config.dim])
  const first = layer(0, x)
  const out = await readAll(
    {
      first,
      second: layer(
        1,
        mapWith((a, b) => a.add(b), [x, first]),
      ),
    },
    reference(),
  )
  expect(nmse(out.first.data as Float32Array, oracle.first)).toBeLessThan(1e-12)
  expect(nmse(out.second.data as Float32Array, oracle.second)).toBeLessThan(1e-12)
})
it('keeps half of what layers with rows of their own would', async () => {
  const [model, plain] = [tinyModel(cla, config, { layers: 4, others }), tinyModel(gqa, config, { layers: 4 })]
  const bytes = (m: Model) => keptBytes(m.spec, m.variants, { rows: 128 })
  expect(bytes(model)).toBe(bytes(plain) / 2)
})
it('shows a policy the queries of every layer that reads the rows', async () => {
  const model = tinyModel(cla, config, { layers: 4, others })
  const seen: Observed[] = []
  const watching: EvictionPolicy = {
    ...{ name: 'watching', about: { title: 'Watching' }, observes: { queries: 3 }, after: 'prefill' },
    plan(observed) {
      seen.push(observed)
      return []
    },
  }
  const runner = new Runner(model, reference(), { cache: evicting(watching, { rows: 1e9 }) })
  await runner.feed(runner.open(), tokens(20), noOutput, undefined, { settle: true })
  // What each layer's own queries are, by layers that keep rows of their own.
  const single = (layer: number) => seen[0].layers[layer].queries!
  for (const owner of [0, 2]) {
    const { count, width, data, keyHeads } = single(owner)
    expect([count, width, keyHeads]).toEqual([3, 8, [0, 0, 1, 1, 0, 0, 1, 1]])
    expect(data.length).toBe(3 * 8 * 8)
    const halves = [0, 1].map(half => [0, 1, 2].flatMap(n => [...data.subarray((n * 8 + half * 4) * 8, (n * 8 + half * 4 + 4) * 8)]))
    expect(halves[0].every(Number.isFinite) && halves[1].every(Number.isFinite)).toBe(true)
    expect(nmse(halves[0], halves[1])).toBeGreaterThan(0.1)
  }
  expect(seen[0].layers[1].rows).toEqual([])
  await runner.dispose()
})
it('lets a ring keep what every reader sees', async () => {
  const model = tinyModel(cla, config, { layers: 2, others })
  // The owner sees a window, its reader everything.
  const [first, second] = model.spec.layers
  const windowed = { ...first, attention: { ...first.attention, mask: { kind: 'window', size: 6 } as const } }
  const mixed = { ...model, spec: { ...model.spec, layers: [windowed, second] } }
  const ids = tokens(40)
  const want = (await drive(mixed, reference(), ids, [40], contiguous())).logits
  const have = await drive(mixed, reference(), ids, [7, 7, 7, 7, 7, 5], automatic(ring(), contiguous()))
  expect(nmse(have.logits, want)).toBeLessThan(1e-12)
})

describe('with a shared beginning in pages', () => {
  const wide = { dim: 32, heads: 2, kvHeads: 1, headDim: 32 }
  const model = tinyModel(cla, wide, { layers: 2, others: { 1: { owner: 0 } } })
  const prompt = tokens(64)
  const policy = snapKv({ window: 8 })
  const caches: [string, CacheManager, Storage][] = [
    ['int4, scales per channel and per token, values turned, sinks', quantised({ group: 8, sinks: 2, recent: 3 }), 'f16'],
    [
      'an observing policy, what stays in int4, scales per channel and per token, values turned, sinks',
      evicting(policy, { rows: 0.5 }, { page: 8, packed: { group: 8, sinks: 2, recent: 3 } }),
      'f16',
    ],
    ['4-bit rows, turned, and an observing policy', turned(evicting(policy, { rows: 0.5 }, { page: 8 })), q4_0],
  ]
  it.each(caches)('%s: the same bits as without sharing', async (_, cache, kv) => {
    const run = async (prefixBytes: number) => {
      const runner = new Runner(model, reference(), { cache, kv, prefixBytes })
      const kept: number[] = []
      const answers: number[][] = []
      for (const end of [
        [1, 2, 3],
        [4, 5],
      ]) {
        const ids = [...prompt, ...end]
        const sequence = await runner.begin(ids)
        kept.push(sequence.rows)
        const shared = 48
        if (sequence.rows < shared) await runner.feed(sequence, ids.slice(0, shared), noOutput)
        await runner.keep(sequence, ids)
        await runner.feed(sequence, ids.slice(shared), noOutput, undefined, { settle: true })
        const { data, shape } = await (await runner.step([{ sequence, ids: [7] }], lastLogits)).read('logits')
        answers.push([...data.slice(sequence.row * shape[1], (sequence.row + 1) * shape[1])])
      }
      return { kept, answers, bytes: runner.cacheBytes, shared: runner.sharedBytes.shared }
    }
    const [shared, apart] = [await run(1e9), await run(0)]
    expect(shared.kept).toEqual([0, 48])
    expect(shared.answers).toEqual(apart.answers)
    expect(shared.answers[0]).not.toEqual(shared.answers[1])
  })
})
