import type { Variant } from '@attune/attention'
import { underPrefix, withPrefix } from '@attune/nn'
import type { Device } from '@attune/tensor'
import { expect, it } from 'vitest'
import { drive, nmse, tokens } from './drive.ts'
import { tinyModel } from './tiny-model.ts'

/** Exact bridges from a variant keep its outputs. Targets are other configs of the same variant, or are given by the caller. */
export function checkBridges(
  variant: Variant,
  config: Record<string, unknown>,
  device: Device,
  targets: readonly Variant[] = [variant],
): void {
  const byName = new Map(targets.map(v => [v.name, v]))
  const usable = variant.bridges.filter(b => b.from === variant.name && b.exactness === 'exact' && byName.has(b.to))
  if (usable.length === 0) return
  it('exact bridges keep the outputs', async () => {
    for (const b of usable) {
      const model = tinyModel(variant, config)
      const params = underPrefix(model.values, 'layers.0.attention')
      const to = b.config(config, { ...config, kvHeads: config.heads })
      const input = { from: config, to, params, rotary: { dims: (config.headDim as number) ?? 8, pairing: 'half' as const }, seed: 1 }
      if (b.why?.(input)) continue
      const made = withPrefix(await b.params(input), 'layers.0.attention')
      const kept = [...model.values].filter(([k]) => !k.startsWith('layers.0.attention.'))
      const layer = { ...model.spec.layers[0], attention: { ...model.spec.layers[0].attention, variant: b.to, config: to } }
      const other = { ...model, values: new Map([...kept, ...made]), spec: { ...model.spec, layers: [layer] }, variants: byName }
      const ids = tokens(13)
      expect(
        nmse((await drive(other, device, ids)).out, (await drive(model, device, ids)).out),
        `${b.from} → ${b.to} by ${b.name}`,
      ).toBeLessThan(1e-10)
    }
  })
}
