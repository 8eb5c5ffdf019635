import type { Variant } from '@attune/attention'
import { type CacheManager, evicting, States } from '@attune/cache'
import { keptBytes } from '@attune/evaluate'
import { layerStates } from '@attune/models'
import { type AttuneError, q8_0, reference, type Storage } from '@attune/tensor'
import { type TinyOptions, tinyModel } from '@attune/testing'
import { attention, caches, policies } from 'attune'
import { describe, expect, it } from 'vitest'

const heads = { dim: 64, heads: 4, kvHeads: 2, headDim: 32 }
const own = { dim: 64, heads: 2, headDim: 32 }
const none: TinyOptions = { position: { kind: 'none' } }
/** A layer of every variant, and how its model differs. */
const layers: Record<string, readonly [config: Record<string, unknown>, tiny?: TinyOptions]> = {
  mha: [own],
  gqa: [heads],
  mqa: [own],
  cla: [heads, { others: { 1: { owner: 0 } } }],
  cross: [own],
  mla: [{ dim: 64, heads: 3, nopeDim: 16, ropeDim: 16, valueDim: 24, latent: 48 }],
  el: [own, none],
  linear: [own],
  lightning: [own],
  gla: [{ dim: 64, heads: 2, keyDim: 16, valueDim: 32 }, none],
  deltanet: [{ dim: 64, heads: 2, keyDim: 16, valueDim: 32 }, none],
  'gated-deltanet': [{ dim: 64, keyHeads: 2, valueHeads: 4, keyDim: 8, valueDim: 16 }, none],
  mamba2: [{ dim: 64, heads: 4, headDim: 16, groups: 2, stateDim: 8 }, none],
  lolcats: [{ ...heads, window: 20 }],
  moba: [{ ...heads, block: 8, pick: 3 }],
  quest: [{ ...heads, page: 8, pick: 3 }],
  nsa: [{ ...heads, compress: { size: 8, stride: 4, hidden: 12 }, block: 8, pick: 4, window: 7 }],
  path: [{ ...heads, forget: true }, none],
  castle: [own, none],
  'talking-heads': [own],
  mta: [{ ...heads, queryTaps: 3, keyTaps: 5 }],
}
const managers: CacheManager[] = [
  ...caches,
  ...policies.map(policy => evicting(policy, { rows: 0.5 })),
  ...policies.filter(p => p.after === 'prefill').map(policy => evicting(policy, { rows: 0.5 }, { packed: {} })),
]
const masks = [{ kind: 'causal' }, { kind: 'window', size: 20 }] as const
const CHUNK = 48

/** Bytes of what is remembered once the sequences have grown to so many rows, a step at a time; undefined where the cache refuses the layers. */
async function allocated(
  model: ReturnType<typeof tinyModel>,
  cache: CacheManager,
  kv: Storage,
  rows: readonly number[],
): Promise<number | undefined> {
  let states: States
  try {
    states = new States(cache, { device: reference(), layers: layerStates(model), kv, chunk: CHUNK })
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_UNSUPPORTED' })
    expect((error as AttuneError).message).toMatch(/^layer \d+/)
    return undefined
  }
  const room = 2 ** Math.ceil(Math.log2(rows.length))
  for (let n = 1; n <= Math.max(...rows); n += 7)
    await states.reserve(
      room,
      Array.from({ length: room }, (_, b) => Math.min(n, rows[b] ?? 0)),
    )
  await states.reserve(room, Array.from({ length: room }, (_, b) => rows[b] ?? 0)) // biome-ignore format: one line
  const { bytes } = states
  states.dispose()
  return bytes
}

describe('bytes that the cost model says are those allocated', () => {
  it('knows a layer of every variant', () => {
    expect(attention.map(v => v.name).sort()).toEqual(Object.keys(layers).sort())
  })
  it.each(attention.map(v => [v.name, v as Variant] as const))('%s in every cache that holds it', async (name, variant) => {
    const [config, tiny] = layers[name]
    let held = 0
    for (const mask of masks) {
      const model = tinyModel(variant, config, { layers: 2, ...tiny, mask })
      for (const cache of managers)
        for (const kv of ['f16', q8_0] as const)
          for (const [batchRows, rows] of [
            [1, 41],
            [3, 300],
          ]) {
            const bytes = await allocated(model, cache, kv, new Array(batchRows).fill(rows))
            if (bytes === undefined) continue
            held++
            expect(keptBytes(model.spec, model.variants, { kv, rows, batchRows, cache, chunk: CHUNK }), `${cache.name}, ${mask.kind}`).toBe(
              bytes,
            )
          }
    }
    expect(held).toBeGreaterThan(0)
  })
})
