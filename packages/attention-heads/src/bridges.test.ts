import { type Bridge, type BridgeInput, numbersPerToken } from '@attune/attention'
import { type identity, matrix, transpose } from '@attune/linalg'
import { decoded, type ParamValues } from '@attune/nn'
import { Constant, isCodec, q4_1, q8_0 } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { attentionOutput, distance, gramOf, layer, normal, paramOf } from '../test/layers.ts'
import { turnsOf } from './bridge-aligned.ts'
import { headBridges } from './bridges.ts'
import { type GqaConfig, gqa } from './gqa.ts'
import { generator } from './head-groups.ts'
import { headLayout } from './head-layout.ts'
import { mixHeads } from './head-mix.ts'
import { momentsOf, putBlock } from './head-moments.ts'
import { rotaryPairs } from './rotary-pairs.ts'

const pick = (name: string, from: string, to: string): Bridge => headBridges.find(b => b.name === name && b.from === from && b.to === to)!
const tokens = 96
const base: GqaConfig = { dim: 64, heads: 8, kvHeads: 8, headDim: 8 }
const rotary = { dims: 8, pairing: 'half' } as const
const mhaConfig = ({ kvHeads: _, ...c }: GqaConfig) => c
const inputs = (dim: number, seed = 9) => normal(tokens * dim, generator(seed))

function run(bridge: Bridge, from: object, wish: object, params: ParamValues, more: Partial<BridgeInput> = {}) {
  const to = bridge.config(from, wish)
  return { to: to as GqaConfig, params: bridge.params({ from, to, params, rotary, seed: 0, ...more }) }
}
/** Relative error of the attention output on tokens that calibration did not see. */
async function errorOf(
  bridge: Bridge,
  from: GqaConfig,
  wish: object,
  params: ParamValues,
  options?: BridgeInput['options'],
  pairing: 'half' | 'interleaved' = 'half',
) {
  const x = inputs(from.dim)
  const calibration = { gram: gramOf(inputs(from.dim, 4), tokens, from.dim), tokens }
  const shape = bridge.from === 'mha' ? mhaConfig(from) : from
  const made = run(bridge, shape, wish, params, { calibration, options, rotary: { dims: from.headDim, pairing } })
  const target = bridge.to === 'mqa' ? { ...made.to, kvHeads: 1 } : made.to
  return distance(await attentionOutput(target, await made.params, x, pairing), await attentionOutput(from, params, x, pairing))
}

describe('repeat', () => {
  const cases = [
    ['gqa', 'mha', { ...base, kvHeads: 2 }, {}, 8],
    ['mqa', 'mha', { ...base, kvHeads: 1 }, {}, 8],
    ['mqa', 'gqa', { ...base, kvHeads: 1 }, { kvHeads: 4 }, 4],
    ['gqa', 'gqa', { ...base, kvHeads: 2 }, { kvHeads: 4 }, 4],
    ['gqa', 'gqa', { ...base, kvHeads: 3, headMap: [0, 0, 0, 0, 1, 1, 2, 2] }, { kvHeads: 5 }, 5],
  ] as const
  it.each(cases)('%s to %s leaves the output', async (a, b, from, wish, kvHeads) => {
    const params = layer(from, generator(1), { bias: true })
    const made = run(pick('repeat', a, b), { ...from, bias: true }, wish, params)
    const next = await made.params
    expect(next.get('q')).toBe(params.get('q'))
    expect(next.get('o')).toBe(params.get('o'))
    const x = inputs(from.dim)
    const to = { ...made.to, kvHeads }
    expect(numbersPerToken(gqa.state(to))).toBe(2 * kvHeads * 8)
    expect(distance(await attentionOutput(to, next, x), await attentionOutput(from as GqaConfig, params, x))).toBe(0)
  })
  it.each([q4_1, q8_0])('keeps $name weights packed', async codec => {
    const from = { ...base, kvHeads: 2 }
    const params = new Map(layer(from, generator(1)))
    for (const name of ['k', 'v']) {
      const values = await decoded(params.get(name)!.weight)
      const bytes = new Uint8Array((values.length / codec.block) * codec.bytes)
      codec.encode!(values, bytes)
      params.set(name, { weight: new Constant(codec, [16, 64], bytes) })
    }
    const next = await run(pick('repeat', 'gqa', 'mha'), from, {}, params).params
    const k = next.get('k')!.weight
    expect(isCodec(k.dtype) && k.dtype.name).toBe(codec.name)
    const source = await decoded(params.get('k')!.weight)
    const made = await decoded(k)
    for (let h = 0; h < 8; h++)
      expect([...made.subarray(h * 512, (h + 1) * 512)]).toEqual([
        ...source.subarray(Math.floor(h / 4) * 512, (Math.floor(h / 4) + 1) * 512),
      ])
  })
  it('is undone by the mean', async () => {
    const from = { ...base, kvHeads: 2 }
    const params = layer(from, generator(1), { bias: true })
    const wide = await run(pick('repeat', 'gqa', 'mha'), { ...from, bias: true }, {}, params).params
    const back = await run(pick('mean', 'mha', 'gqa'), { ...mhaConfig(base), bias: true }, { kvHeads: 2 }, wide).params
    for (const name of ['k', 'v'])
      expect(distance(await decoded(back.get(name)!.weight), await decoded(params.get(name)!.weight))).toBeLessThan(1e-7)
  })
})

describe('aligned', () => {
  it.each(['half', 'interleaved'] as const)('turns heads without changing the output, %s pairs', async pairing => {
    const params = layer(base, generator(2), { bias: true })
    const moments = { gram: gramOf(inputs(64, 4), tokens, 64), dim: 64 }
    const pairs = rotaryPairs(8, { dims: 8, pairing })
    const turns = turnsOf(
      { keys: await momentsOf(params.get('k')!, moments), values: await momentsOf(params.get('v')!, moments), pairs },
      [0, 0, 0, 0, 1, 1, 1, 1],
      2,
      8,
    )
    const each = (list: readonly ReturnType<typeof identity>[]) => {
      const out = matrix(64, 64)
      list.forEach((t, i) => putBlock(out, i, i, transpose(t)))
      return out
    }
    const next = mixHeads(params, headLayout(base), {
      keys: each(turns.keys),
      values: each(turns.values),
      queries: turns.keys.map(transpose),
      outputs: turns.values,
    })
    const x = inputs(64)
    expect(await decoded(next.get('k')!.weight)).not.toEqual(await decoded(params.get('k')!.weight))
    expect(distance(await attentionOutput(base, next, x, pairing), await attentionOutput(base, params, x, pairing))).toBeLessThan(1e-6)
  })
  it('finds heads that are turned copies of one head', async () => {
    const params = layer(base, generator(3), { bias: true, copies: 'turned' })
    const config = { ...base, bias: true }
    expect(await errorOf(pick('aligned', 'mha', 'mqa'), config, {}, params)).toBeLessThan(1e-5)
    expect(await errorOf(pick('mean', 'mha', 'mqa'), config, {}, params)).toBeGreaterThan(0.3)
  })
})

describe('least squares', () => {
  it.each(['half', 'interleaved'] as const)('finds heads that one head can be read as, %s pairs', async pairing => {
    const params = layer(base, generator(3), { bias: true, copies: 'mixed', pairing })
    for (const options of [{}, { keys: 'plain', values: 'plain' }])
      expect(await errorOf(pick('least-squares', 'mha', 'mqa'), { ...base, bias: true }, {}, params, options, pairing)).toBeLessThan(1e-5)
  })
  it('beats aligned, which beats the mean; grouping alike heads helps both', async () => {
    const errors: Record<string, number> = {}
    for (let seed = 0; seed < 4; seed++) {
      const params = layer(base, generator(seed + 20), { copies: 'noisy' })
      for (const name of ['mean', 'aligned', 'least-squares'])
        for (const regroup of name === 'mean' ? [undefined] : [false, true]) {
          const key = `${name}${regroup ? '+regrouped' : ''}`
          errors[key] = (errors[key] ?? 0) + (await errorOf(pick(name, 'mha', 'gqa'), base, { kvHeads: 4 }, params, { regroup })) / 4
        }
    }
    expect(errors.aligned).toBeLessThan(errors.mean)
    expect(errors['least-squares']).toBeLessThan(errors.aligned)
    expect(errors['aligned+regrouped']).toBeLessThan(errors.aligned)
    expect(errors['least-squares+regrouped']).toBeLessThan(errors['least-squares'])
  })
  it('goes from grouped heads to fewer, even or not, the queries of a head staying together', async () => {
    const from = { dim: 72, heads: 9, kvHeads: 3, headDim: 8 }
    const params = layer(from, generator(5))
    const bridge = pick('least-squares', 'gqa', 'gqa')
    const to = bridge.config(from, { kvHeads: 2 }) as GqaConfig
    expect(to.headMap).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1])
    const two = await errorOf(bridge, from, { kvHeads: 2 }, params)
    const one = await errorOf(pick('least-squares', 'gqa', 'mqa'), from, {}, params)
    expect(two).toBeLessThan(one)
    expect(one).toBeLessThan(1)
  })
  it('gives the same bytes again', async () => {
    const params = layer(base, generator(6))
    const calibration = { gram: gramOf(inputs(64, 4), tokens, 64), tokens }
    const bytes = async () => {
      const made = await run(pick('least-squares', 'mha', 'gqa'), mhaConfig(base), { kvHeads: 4 }, params, { calibration }).params
      return Promise.all(['q', 'k', 'v', 'o'].map(n => made.get(n)!.weight.bytes()))
    }
    expect(await bytes()).toEqual(await bytes())
  })
})

describe('refusals', () => {
  const params = layer({ ...base, kvHeads: 2 }, generator(1))
  const why = (b: Bridge, from: object, to: object, more = {}) => b.why!({ from, to, params, rotary, ...more })
  const from = { ...base, kvHeads: 2 }
  it('name the heads that would be parted', () => {
    expect(why(pick('mean', 'gqa', 'gqa'), from, { ...base, kvHeads: 2, headMap: [0, 0, 1, 1, 1, 1, 1, 1] })).toMatch(
      /source key head 0 .* target heads 0 and 1/,
    )
    expect(why(pick('repeat', 'gqa', 'mqa'), from, mhaConfig(base))).toMatch(/target key head 0 .* source heads 0 and 1/)
  })
  it('name a parameter, a size or an option they do not know', () => {
    const more = new Map(params).set('qNorm', paramOf([1], [1]))
    expect(why(pick('mean', 'gqa', 'mqa'), from, mhaConfig(base), { params: more })).toMatch(/'qNorm'/)
    expect(why(pick('mean', 'gqa', 'mqa'), from, { ...mhaConfig(base), headDim: 4 })).toMatch(/headDim .* 8 to 4/)
    expect(why(pick('least-squares', 'gqa', 'mqa'), from, mhaConfig(base), { options: { keys: 'best' } })).toMatch(/keys is "best"/)
    expect(why(pick('mean', 'gqa', 'mqa'), from, mhaConfig(base), { options: { ridge: 1 } })).toMatch(/no option 'ridge'/)
    expect(why(pick('aligned', 'gqa', 'mqa'), from, mhaConfig(base), { rotary: { dims: 7, pairing: 'half' } })).toMatch(/rotary dims 7/)
    expect(why(pick('aligned', 'gqa', 'mqa'), from, mhaConfig(base))).toBeUndefined()
  })
  it('name wrong wishes', () => {
    const bridge = pick('mean', 'gqa', 'gqa')
    expect(() => bridge.config(from, {})).toThrow(/needs kvHeads/)
    expect(() => bridge.config(from, { kvHeads: 9 })).toThrow(/8 query heads, got 9/)
    expect(() => bridge.config(from, { kvHeads: 2, headDim: 4 })).toThrow(/cannot set headDim/)
    expect(() => bridge.config(from, { headMap: [0, 0, 2, 2, 2, 2, 2, 2] })).toThrow(/use every number/)
  })
  it('ask for calibration', async () => {
    await expect(run(pick('aligned', 'gqa', 'mqa'), from, {}, params).params).rejects.toThrow(/needs calibration/)
  })
})
