import { type Conversion, convertAll, type Plan } from '@attune/convert'
import type { Model } from '@attune/models'
import type { Device } from '@attune/tensor'
import type { Texts } from '../texts.ts'

/** A conversion of the main job. */
export interface Rung {
  readonly key: 'mha' | 'mean' | 'aligned' | 'least-squares'
  readonly label: string
  readonly conversion: Conversion
}

const RUNGS: readonly { key: Rung['key']; label: string; to: string }[] = [
  { key: 'mha', label: 'MHA', to: 'mha' },
  { key: 'mean', label: 'MQA mean-pool', to: 'mqa' },
  { key: 'aligned', label: 'MQA aligned', to: 'mqa' },
  { key: 'least-squares', label: 'MQA least squares', to: 'mqa' },
]

/** Every conversion of the ladder that changes something, all from one walk through the layers. */
export async function convertLadder(
  model: Model,
  device: Device,
  texts: Texts,
  options: { signal: AbortSignal; onProgress?: (event: { layer: number; layers: number }) => void },
): Promise<Rung[]> {
  const rungs = RUNGS.flatMap(rung => {
    const plan = planFor(model, rung)
    return plan ? [{ ...rung, plan }] : []
  })
  if (rungs.length === 0) return []
  const held = texts.held.flat()
  const window = texts.held[0].length
  const made = await convertAll(
    model,
    rungs.map(r => r.plan),
    { device, calibration: texts.calibration, heldOut: held, window, ...options },
  )
  return rungs.map(({ key, label }, i) => ({ key, label, conversion: made[i] }))
}

/** All layers that are not there yet; repeating heads needs no method. */
function planFor({ spec }: Model, { key, to }: { key: Rung['key']; to: string }): Plan | undefined {
  const layers = spec.layers.flatMap((l, i) => (l.attention.variant === to ? [] : [i]))
  return layers.length > 0 ? { layers: [{ layers, to, method: to === 'mha' ? undefined : key }] } : undefined
}
