import { gqa } from '@attune/attention-heads'
import { underPrefix } from '@attune/nn'
import { reference } from '@attune/tensor'
import { drive, nmse, tinyModel, tokens } from '@attune/testing'
import { expect, it } from 'vitest'
import { moba, quest } from './index.ts'

it.each([moba, quest])('$name takes the weights of grouped heads, sinks and norms too', async variant => {
  const config = { dim: 24, heads: 4, kvHeads: 2, headDim: 8, sink: true, bias: true, qkNorm: { kind: 'rms', eps: 1e-6 } }
  const model = tinyModel(gqa, config)
  const bridge = variant.bridges.find(b => b.from === 'gqa')!
  const as = async (wish: object) => {
    const to = bridge.config(config, wish)
    const params = underPrefix(model.values, 'layers.0.attention')
    expect(await bridge.params({ from: config, to, params, seed: 1 })).toBe(params)
    const layers = model.spec.layers.map(l => ({ ...l, attention: { ...l.attention, variant: variant.name, config: to } }))
    return { ...model, spec: { ...model.spec, layers }, variants: new Map([[variant.name, variant]]) }
  }
  const device = reference()
  const want = (await drive(model, device, tokens(60))).logits
  const all = await as({ block: 8, page: 8, pick: Number.POSITIVE_INFINITY })
  expect(nmse((await drive(all, device, tokens(60))).logits, want)).toBeLessThan(1e-12)
  const few = await as({ block: 8, page: 8, pick: 2 })
  expect(nmse((await drive(few, device, tokens(60))).logits, want)).toBeGreaterThan(1e-6)
})
