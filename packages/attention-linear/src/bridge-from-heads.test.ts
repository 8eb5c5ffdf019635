import type { Variant } from '@attune/attention'
import { gqa } from '@attune/attention-heads'
import { underPrefix, withPrefix } from '@attune/nn'
import { reference } from '@attune/tensor'
import { drive, nmse, tinyModel, tokens } from '@attune/testing'
import { describe, expect, it } from 'vitest'
import { toLinear, toLolcats } from './bridge-from-heads.ts'
import { linear } from './linear.ts'
import { lolcats } from './lolcats.ts'

const config = { dim: 24, heads: 4, kvHeads: 2, headDim: 8, bias: true }
const prefix = 'layers.0.attention'

/** The model with its layer taken over a bridge. */
async function converted(variant: Variant, bridge: typeof toLolcats | typeof toLinear, wish: object) {
  const model = tinyModel(gqa, config)
  const params = underPrefix(model.values, prefix)
  const to = bridge.config(config, wish as never) as never
  const made = withPrefix(await bridge.params({ from: config, to, params, seed: 1 } as never), prefix)
  const layers = model.spec.layers.map(l => ({ ...l, attention: { ...l.attention, variant: variant.name, config: to } }))
  const kept = [...model.values].filter(([path]) => !path.startsWith(`${prefix}.`))
  return {
    model,
    other: { ...model, spec: { ...model.spec, layers }, variants: new Map([[variant.name, variant]]), values: new Map([...kept, ...made]) },
  }
}

describe('from grouped-query attention', () => {
  it('lolcats is the same layer while the window holds everything', async () => {
    const { model, other } = await converted(lolcats, toLolcats, { window: 30 })
    const [want, have] = [await drive(model, reference(), tokens(30)), await drive(other, reference(), tokens(30))]
    expect(nmse(have.logits, want.logits)).toBeLessThan(1e-12)
    const short = await converted(lolcats, toLolcats, { window: 8, featureDim: 5 })
    expect((await drive(short.other, reference(), tokens(30))).logits.every(Number.isFinite)).toBe(true)
  })
  it('linear takes the projections', async () => {
    const { other } = await converted(linear, toLinear, { feature: 'relu' })
    expect(other.spec.layers[0].attention.config).toEqual({ ...config, feature: 'relu' })
    expect((await drive(other, reference(), tokens(30))).logits.every(Number.isFinite)).toBe(true)
  })
  it('refuses what has no place there, by name', () => {
    const params = underPrefix(tinyModel(gqa, { ...config, sink: true }).values, prefix)
    expect(toLolcats.why?.({ from: config, to: {} as never, params })).toBe("parameter 'sink' has no place there")
    expect(toLinear.why?.({ from: { ...config, headMap: [0, 1, 0, 1] } as never, to: {} as never, params })).toBe(
      "its headMap has no place in the other's scores",
    )
  })
})
