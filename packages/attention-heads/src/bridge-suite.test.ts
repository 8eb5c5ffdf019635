import type { Variant } from '@attune/attention'
import { cpu } from '@attune/backend-cpu'
import { type BridgeTestOptions, testBridge } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { layer } from '../test/layers.ts'
import { headBridges } from './bridges.ts'
import type { GqaConfig } from './gqa.ts'
import { generator } from './head-groups.ts'
import { gqa, mha, mqa } from './index.ts'

const native = cpu({ threads: 2 })
afterAll(async () => (await native).close())
const wide = { dim: 64, heads: 8, headDim: 8, bias: true }
const copied = { dim: 32, heads: 8, kvHeads: 2, headDim: 8, bias: true }
const tested = new Set<string>()

/** The named bridges of a pair, by rising quality. */
function suite(from: Variant, to: Variant, names: readonly string[], t: Omit<BridgeTestOptions, 'from' | 'to'>): void {
  const bridges = names.map(name => headBridges.find(b => b.name === name && b.from === from.name && b.to === to.name)!)
  for (const b of bridges) tested.add(`${b.name}: ${b.from} → ${b.to}`)
  testBridge(bridges, { ...t, from, to, device: () => native })
}
/** Heads that are alike in pairs, with noise: as in trained layers, and unlike in random ones. */
const alike = (kvHeads: number) => (seed: number) =>
  layer({ ...wide, kvHeads } as GqaConfig, generator(seed + 20), { copies: 'noisy', bias: true })
const merging = ['mean', 'aligned', 'least-squares']

suite(mha, gqa, merging, { config: wide, wish: { kvHeads: 4 }, weights: alike(8), layers: 3 })
suite(mha, mqa, merging, { config: wide, weights: alike(8), layers: 3 })
suite(gqa, gqa, merging, { config: { ...wide, kvHeads: 4 }, wish: { kvHeads: 2 }, weights: alike(4), layers: 3 })
suite(gqa, mqa, merging, { config: { ...wide, kvHeads: 4 }, weights: alike(4), layers: 3 })
suite(gqa, mha, ['repeat'], { config: copied })
suite(mqa, gqa, ['repeat'], { config: { ...wide, dim: 32 }, wish: { kvHeads: 4 } })
suite(mqa, mha, ['repeat'], { config: { ...wide, dim: 32 } })
suite(gqa, gqa, ['repeat'], { config: copied, wish: { kvHeads: 4 }, pairing: 'interleaved' })
suite(gqa, mqa, ['repeat'], { config: { ...copied, kvHeads: 1 } })
suite(mha, gqa, ['repeat'], { config: wide, wish: { kvHeads: 8 } })
suite(mha, mqa, ['repeat'], { config: { ...wide, heads: 1 } })

describe('the suite', () => {
  it('has tested every bridge of the family', () => {
    expect([...tested].sort()).toEqual(headBridges.map(b => `${b.name}: ${b.from} → ${b.to}`).sort())
  })
})
