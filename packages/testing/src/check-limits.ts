import type { Variant } from '@attune/attention'
import type { Device } from '@attune/tensor'
import { expect, it } from 'vitest'
import { drive, nmse, tokens } from './drive.ts'
import { type TinyOptions, tinyModel } from './tiny-model.ts'

/** "With this config I equal that variant": same parameters, same numbers. */
export function checkLimits(variant: Variant, device: Device, tiny?: TinyOptions): void {
  if (variant.limits.length === 0) return
  it('equals the variants it names as limits', async () => {
    for (const [config, other, as] of variant.limits) {
      const own = tinyModel(variant, config, tiny)
      const layers = own.spec.layers.map(l => ({ ...l, attention: { ...l.attention, variant: other.name, config: as } }))
      const twin = { ...own, spec: { ...own.spec, layers }, variants: new Map([[other.name, other]]) }
      const ids = tokens(17)
      expect(
        nmse((await drive(own, device, ids)).out, (await drive(twin, device, ids)).out),
        `${variant.name} as ${other.name}`,
      ).toBeLessThan(1e-12)
    }
  })
}
