import type { Variant } from '@attune/attention'
import { gqa, mha } from '@attune/attention-heads'
import { underPrefix, withPrefix } from '@attune/nn'
import { reference } from '@attune/tensor'
import { drive, nmse, tinyModel, tokens } from '@attune/testing'
import { describe, expect, it } from 'vitest'
import { castle, mta, talkingHeads } from './index.ts'

const prefix = 'layers.0.attention'
const [dim, headDim] = [24, 8]
const none = { position: { kind: 'none' } as const }

const cases: [Variant, Variant, Record<string, unknown>, object, object?][] = [
  [mha, talkingHeads, { dim, heads: 3, headDim }, {}],
  [mha, castle, { dim, heads: 3, headDim }, {}, none],
  [gqa, mta, { dim, heads: 4, kvHeads: 2, headDim }, {}],
  [gqa, mta, { dim, heads: 4, kvHeads: 2, headDim }, { queryTaps: 2, keyTaps: 3, mixLogits: false, headGroup: 2 }],
]

describe('a variant that begins as an identity is the layer it replaces', () => {
  it.each(cases.map(c => [c[0].name, c[1].name, ...c.slice(2), c] as const))('%s to %s %j %j', async (...args) => {
    const [from, to, config, wish, tiny = {}] = args[args.length - 1] as (typeof cases)[number]
    const bridge = to.bridges.find(b => b.from === from.name)!
    const model = tinyModel(from, config, tiny)
    const params = underPrefix(model.values, prefix)
    const next = bridge.config(config, wish)
    const made = withPrefix(await bridge.params({ from: config, to: next, params, seed: 1 }), prefix)
    const layers = model.spec.layers.map(l => ({ ...l, attention: { ...l.attention, variant: to.name, config: next } }))
    const kept = [...model.values].filter(([path]) => !path.startsWith(`${prefix}.`))
    const other = { ...model, spec: { ...model.spec, layers }, variants: new Map([[to.name, to]]), values: new Map([...kept, ...made]) }
    const device = reference()
    for (const pieces of [[30], [11, 1, 18]])
      expect(nmse((await drive(other, device, tokens(30), pieces)).logits, (await drive(model, device, tokens(30))).logits)).toBeLessThan(
        1e-11,
      )
  })

  it('refuses what has no place there, by name', () => {
    const config = { dim, heads: 4, kvHeads: 2, headDim }
    const [toMta] = mta.bridges
    const biased = underPrefix(tinyModel(gqa, { ...config, bias: true }).values, prefix)
    expect(toMta.why!({ from: config, to: config, params: biased })).toBe("parameter 'q' with a bias has no place there")
    expect(toMta.why!({ from: { ...config, scale: 1 }, to: config, params: new Map() })).toBe('its scale has no place there')
    const rotary = { dims: 8, pairing: 'half' } as const
    expect(castle.bridges[0].why!({ from: config, to: config, params: new Map(), rotary })).toMatch(/rotary/)
  })
})
