import type { Exactness } from '@attune/attention'
import type { Model } from '@attune/models'
import { underPrefix } from '@attune/nn'
import { AttuneError, type Storage } from '@attune/tensor'
import { fitsOutput } from './fit-output.ts'
import { weightsOf } from './layer-graph.ts'
import { entriesOf, type Plan } from './plan.ts'
import { kvBytesPerToken, layerKvBytes } from './report.ts'
import { routeOf, worse } from './route.ts'

/** What a conversion would do and cost. */
export interface DryRun {
  readonly layers: readonly {
    readonly layer: number
    readonly from: string
    readonly to: string
    readonly config: Readonly<Record<string, unknown>>
    readonly path: readonly string[]
    readonly exactness: Exactness
    readonly kvBytesPerToken: { readonly before: number; readonly after: number }
  }[]
  readonly exactness: Exactness
  readonly kvBytesPerToken: { readonly before: number; readonly after: number }
  /** Tokens that would be run through the layers; 0 when nothing needs calibration. */
  readonly calibrationTokens: number
  /** Multiply-adds of the calibration's walk. */
  readonly multiplyAdds: number
  /** Weight bytes the walk reads. */
  readonly weightBytes: number
  /** Most bytes held at once besides what the source model keeps: one layer, the residual stream, one Gram matrix. */
  readonly workingSetBytes: number
}

export interface DryRunOptions {
  readonly calibrationTokens?: number
  readonly heldOutTokens?: number
  /** True when the residual stream goes to a file. */
  readonly spilled?: boolean
  readonly window?: number
  readonly kv?: Storage
}

/** Looks at shapes and headers only; no weight is read. Errors as `convert`. */
export function dryRun(model: Model, plan: Plan, options: DryRunOptions = {}): DryRun {
  const { calibrationTokens = 0, heldOutTokens = 0, spilled = false, window = 512, kv = 'f32' } = options
  const { spec, variants, values } = model
  const specs = [...spec.layers]
  let calibrates = false
  const layers = [...entriesOf(plan, spec.layers.length)].map(([i, entry]) => {
    const layer = spec.layers[i]
    const route = routeOf(layer, entry, underPrefix(values, `layers.${i}.attention`), variants, `layer ${i}`)
    const { config } = route.steps[route.steps.length - 1]
    specs[i] = { ...layer, attention: { ...layer.attention, variant: entry.to, config } }
    const fits = fitsOutput(model, entry, route, `layer ${i}`)
    calibrates ||= route.needsCalibration || fits
    return {
      layer: i,
      from: layer.attention.variant,
      to: entry.to,
      config,
      path: [...route.steps.map(s => s.bridge.name), ...(fits ? ['fit output'] : [])],
      exactness: route.exactness,
      kvBytesPerToken: { before: layerKvBytes(layer, variants, kv), after: layerKvBytes(specs[i], variants, kv) },
    }
  })
  if (calibrates && options.calibrationTokens === 0) throw new AttuneError('ERR_ARGUMENT', 'this conversion needs calibration tokens', {})
  const tokens = (calibrates ? calibrationTokens : 0) + heldOutTokens
  const walked = tokens > 0 ? Math.max(...layers.map(l => l.layer)) + 1 : 0
  const weights = Array.from({ length: walked }, (_, i) => weightsOf(underPrefix(values, `layers.${i}`)))
  const bytes = weights.map(list => list.reduce((n, c) => n + c.byteLength, 0))
  const numbers = weights.flat().reduce((n, c) => n + c.shape.reduce((a, b) => a * b, 1), 0)
  const grams = calibrates ? layers.length * calibrationTokens * (spec.dim + 1) ** 2 : 0
  const stream = spilled ? 2 * window * spec.dim * 4 : 2 * tokens * spec.dim * 4
  return {
    layers,
    exactness: layers.map(l => l.exactness).reduce<Exactness>(worse, 'exact'),
    kvBytesPerToken: { before: kvBytesPerToken(model, kv), after: kvBytesPerToken({ variants, spec: { ...spec, layers: specs } }, kv) },
    calibrationTokens: calibrates ? calibrationTokens : 0,
    multiplyAdds: tokens * numbers + grams,
    weightBytes: walked > 0 ? values.get('embed')!.weight.byteLength + bytes.reduce((a, b) => a + b, 0) : 0,
    workingSetBytes:
      walked > 0 ? Math.max(values.get('embed')!.weight.byteLength, ...bytes) + stream + (calibrates ? 8 * (spec.dim + 1) ** 2 : 0) : 0,
  }
}
