import type { Variant } from '@attune/attention'
import { cpu } from '@attune/backend-cpu'
import { contiguous, paged, quantised } from '@attune/cache'
import type { ParamValue } from '@attune/nn'
import { bf16ToFloat, Constant, floatToBf16, read, reference } from '@attune/tensor'
import { layerAlone, nmse, testAttention, testCache } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { layerCases } from '../test/oracle.ts'
import * as linearFamily from './index.ts'

const { deltanet, gatedDeltanet, gla, lightning, lightningSlopes, linear, lolcats, mamba2 } = linearFamily
const opened = Promise.all([cpu({ threads: 2 }), cpu({ backend: 'wasm', threads: 2 })])
afterAll(async () => {
  for (const d of await opened) await d.close()
})
const variants: readonly Variant[] = [deltanet, gatedDeltanet, gla, lightning, linear, lolcats, mamba2]
const tiny = { position: { kind: 'none' } } as const

describe('layers of their authors', () => {
  it.each(variants.flatMap(v => layerCases(v.name).map(c => ({ variant: v, ...c }))))('$variant.name %#', async c => {
    for (const device of [reference(), ...(await opened)]) {
      const have = (await read(layerAlone(c.variant, c.config, c.values, c.x, tiny), device)).data
      const size = Math.max(...c.out.map(Math.abs))
      for (const [i, want] of c.out.entries())
        expect(Math.abs(have[i] - want), `${device.name}, number ${i}: ${have[i]} for ${want}`).toBeLessThan(3e-6 * size)
    }
  })
  it('are there for every variant', () => {
    for (const v of variants) expect(layerCases(v.name).length, v.name).toBeGreaterThan(0)
    const all = Object.values(linearFamily).filter(x => typeof x === 'object')
    expect(new Set(all)).toEqual(new Set(variants))
  })
})

// A large eps where the norm of a small output bends too much for finite differences.
const suite: readonly (readonly [Variant, ...Record<string, unknown>[]])[] = [
  [deltanet, { dim: 20, heads: 3, keyDim: 6, valueDim: 4, eps: 0.1 }],
  [gatedDeltanet, { dim: 20, keyHeads: 2, valueHeads: 4, keyDim: 6, valueDim: 5 }, { dim: 12, keyHeads: 1, valueHeads: 1, keyDim: 6, valueDim: 8, taps: 2, convBias: true, eps: 0.1 }], // biome-ignore format: one line
  [gla, { dim: 20, heads: 3, keyDim: 4, valueDim: 6, gateRank: 3 }],
  [lightning, { dim: 20, heads: 3, headDim: 6, slopes: lightningSlopes(3, 1, 4) }],
  [
    linear,
    { dim: 20, heads: 4, kvHeads: 2, headDim: 8, bias: true },
    { dim: 20, heads: 3, headDim: 4, feature: 'identity', normalise: false },
  ],
  [mamba2, { dim: 20, heads: 4, headDim: 6, groups: 2, stateDim: 5 }, { dim: 12, heads: 3, headDim: 4, groups: 1, stateDim: 7, taps: 3, convBias: false, bias: true, dtMin: 0.2, dtMax: 0.9 }], // biome-ignore format: one line
]
for (const [variant, ...configs] of suite) {
  testAttention(variant, { configs, tiny, devices: () => opened })
  testCache({ cache: contiguous(), variant, config: configs[0], tiny })
}
for (const [variant, config] of suite.filter(([v]) => v === gatedDeltanet || v === mamba2)) {
  testCache({ cache: paged({ page: 16 }), variant, config, tiny })
  testCache({ cache: quantised(), variant, config, tiny })
  testCache({ cache: contiguous(), variant, config, tiny, name: 'native', device: async () => (await opened)[0] })
}

it.each(variants)('$name takes parameters as bf16', async variant => {
  const [c] = layerCases(variant.name)
  const stored = async (dtype: 'f32' | 'bf16', x: Constant | undefined): Promise<Constant | undefined> => {
    if (!x) return undefined
    const halves = Uint16Array.from(new Float32Array((await x.bytes()).slice().buffer), floatToBf16)
    if (dtype === 'bf16') return new Constant('bf16', x.shape, new Uint8Array(halves.buffer))
    return new Constant('f32', x.shape, new Uint8Array(Float32Array.from(halves, bf16ToFloat).buffer))
  }
  const valuesOf = async (dtype: 'f32' | 'bf16') => {
    const made = [...c.values].map(async ([path, { weight, bias }]) => [
      path,
      { weight: (await stored(dtype, weight))!, bias: await stored(dtype, bias) },
    ])
    return new Map((await Promise.all(made)) as [string, ParamValue][])
  }
  const [exact, halves] = [await valuesOf('f32'), await valuesOf('bf16')]
  const want = (await read(layerAlone(variant, c.config, exact, c.x, tiny), reference())).data
  for (const device of [reference(), ...(await opened)])
    expect(nmse((await read(layerAlone(variant, c.config, halves, c.x, tiny), device)).data, want), device.name).toBeLessThan(1e-11)
})

it.each(suite.map(([variant, config]) => ({ name: variant.name, variant, config })))(
  '$name refuses masks and scores that its state cannot keep',
  ({ variant, config }) => {
    const model = layerCases(variant.name)[0]
    expect(config).toBeDefined()
    const refuse = (change: object) =>
      layerAlone({ ...variant, forward: c => variant.forward({ ...c, ...change }) } as Variant, model.config, model.values, model.x, tiny)
    expect(() => refuse({ mask: {} })).toThrow(/its mask must be causal/)
    expect(() => refuse({ score: {} })).toThrow(/it has no scores to change/)
  },
)
