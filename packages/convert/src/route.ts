import type { Bridge, BridgeInput, Exactness } from '@attune/attention'
import type { LayerSpec, Variants } from '@attune/models'
import { type ParamValues, walkParams, weightShape } from '@attune/nn'
import type { PositionSpec } from '@attune/position'
import { AttuneError, Constant } from '@attune/tensor'
import type { PlanEntry } from './plan.ts'

/** Bridges to take one after another for a layer, with the config after each. */
export interface Route {
  readonly steps: readonly { readonly bridge: Bridge; readonly config: Readonly<Record<string, unknown>> }[]
  readonly exactness: Exactness
  readonly needsCalibration: boolean
}

const CLOSENESS: readonly Exactness[] = ['exact', 'exact-at-full-rank', 'least-squares', 'approximate', 'needs-training']
/** The less exact of two classes. */
export const worse = (a: Exactness, b: Exactness): Exactness => (CLOSENESS.indexOf(a) >= CLOSENESS.indexOf(b) ? a : b)

const bridgesOf = (variants: Variants): Bridge[] => [...new Set([...variants.values()].flatMap(v => v.bridges))]

export const rotaryOf = (position: PositionSpec): BridgeInput['rotary'] =>
  position.kind === 'rope' ? { dims: position.dims, pairing: position.pairing } : undefined

const LONGEST = 3

/**
 * The closest way from a layer to what a plan asks for: fewest inexact steps, closest class, shortest. With a method named, inexact
 * steps are of that method. Errors: `ERR_CONVERSION` with every refusal, `ERR_ARGUMENT` for wishes no variant takes.
 */
export function routeOf(layer: LayerSpec, entry: PlanEntry, params: ParamValues, variants: Variants, where: string): Route {
  const { variant: from, config } = layer.attention
  if (!variants.has(entry.to))
    throw new AttuneError('ERR_ARGUMENT', `${where}: variant '${entry.to}' is not among ${[...variants.keys()].join(', ')}`, {
      to: entry.to,
    })
  const all = bridgesOf(variants)
  if (entry.method !== undefined && !all.some(b => b.name === entry.method)) throw noWay(all, from, entry, where)
  const edges = all.filter(b => b.exactness === 'exact' || entry.method === undefined || b.name === entry.method)
  const refusals: string[] = []
  let wish: unknown
  for (const path of pathsBetween(
    edges.filter(b => variants.has(b.to)),
    from,
    entry.to,
  )) {
    const name = path.map(b => (path.length > 1 ? `${b.from}→${b.to} ${b.name}` : b.name)).join(', ')
    try {
      const steps = stepsOf(path, config, entry.config ?? {}, rotaryOf(layer.attention.position))
      const why = refusal(steps, layer, entry, params, variants)
      if (!why)
        return {
          steps,
          exactness: path.map(b => b.exactness).reduce(worse),
          needsCalibration: path.some(b => b.needs === 'calibration'),
        }
      if (path.length === 1 || refusals.length === 0) refusals.push(`${name}: ${why}`)
    } catch (error) {
      if (!(error instanceof AttuneError)) throw error
      wish ??= error
    }
  }
  if (refusals.length === 0 && wish instanceof AttuneError) throw new AttuneError(wish.code, `${where}: ${wish.message}`, wish.data, wish)
  if (refusals.length === 0) throw noWay(all, from, entry, where)
  throw new AttuneError('ERR_CONVERSION', `${where}: ${from} cannot become ${entry.to}. ${refusals.join('; ')}`, {
    from,
    to: entry.to,
    refusals,
  })
}

function noWay(all: readonly Bridge[], from: string, { to, method }: PlanEntry, where: string): AttuneError {
  const known = [...new Set(all.filter(b => b.from === from && b.to === to).map(b => b.name))]
  return new AttuneError(
    'ERR_CONVERSION',
    `${where}: no bridge leads from ${from} to ${to}${method ? ` by ${method}` : ''}${known.length > 0 ? ` (there are ${known.join(', ')})` : ''}`,
    { from, to, method },
  )
}

/** Options go to the named method's bridge; exact steps on the way have none. */
export const optionsFor = (bridge: Bridge, entry: PlanEntry): PlanEntry['options'] =>
  bridge.exactness === 'exact' && bridge.name !== entry.method ? undefined : entry.options

/** The first refusal on the way. Parameters between steps are not made yet: their shapes are known from the variant. */
function refusal(steps: Route['steps'], layer: LayerSpec, entry: PlanEntry, params: ParamValues, variants: Variants): string | undefined {
  const { position } = layer.attention
  let from: unknown = layer.attention.config
  let own = params
  for (const { bridge, config } of steps) {
    const why = bridge.why?.({ from, to: config, params: own, rotary: rotaryOf(position), position, options: optionsFor(bridge, entry) })
    if (why) return why
    own = hollowParams(variants, bridge.to, config)
    from = config
  }
  return undefined
}

/** Parameters of a variant that have shapes but no bytes yet. */
export function hollowParams(variants: Variants, variant: string, config: unknown): ParamValues {
  const hollow = (shape: readonly number[]) =>
    new Constant('f32', shape, () => {
      throw new AttuneError('ERR_ARGUMENT', 'the bytes of a weight that is not made yet were asked for', {})
    })
  return new Map(
    [...walkParams(variants.get(variant)!.params(config))].map(([path, spec]) => {
      const shape = weightShape(spec)
      return [path, { weight: hollow(shape), ...(spec.kind === 'linear' && spec.bias ? { bias: hollow([shape[0]]) } : {}) }]
    }),
  )
}

function pathsBetween(edges: readonly Bridge[], from: string, to: string): Bridge[][] {
  const found: Bridge[][] = []
  const extend = (path: readonly Bridge[], at: string): void => {
    if (path.length > 0 && at === to) found.push([...path])
    if (path.length === LONGEST) return
    for (const b of edges) {
      const seen = path.length > 0 && (b.to === from || path.some(p => p.to === b.to))
      if (b.from === at && !seen) extend([...path, b], b.to)
    }
  }
  extend([], from)
  const rank = (path: readonly Bridge[]) => [
    path.filter(b => b.exactness !== 'exact').length,
    Math.max(...path.map(b => CLOSENESS.indexOf(b.exactness))),
    path.length,
  ]
  const by = (a: readonly number[], b: readonly number[]) => a.map((x, i) => x - b[i]).find(d => d !== 0) ?? 0
  return found.sort((a, b) => by(rank(a), rank(b)))
}

function stepsOf(
  path: readonly Bridge[],
  from: unknown,
  wish: Readonly<Record<string, unknown>>,
  rotary: BridgeInput['rotary'],
): Route['steps'] {
  let config = from
  return path.map((bridge, i) => ({ bridge, config: (config = bridge.config(config, i === path.length - 1 ? wish : {}, { rotary })) }))
}
