import type { Bridge, BridgeInput, Variant } from '@attune/attention'
import { type ParamTree, type ParamValues, underPrefix, walkParams, weightShape } from '@attune/nn'
import type { PositionSpec } from '@attune/position'
import { type Device, read, reference, type Tensor, tensor } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { nmse } from './drive.ts'
import { headDimOf, layerAlone } from './layer-alone.ts'
import { randomSource } from './random.ts'
import { tinyModel } from './tiny-model.ts'

export interface BridgeTestOptions {
  readonly from: Variant
  readonly to: Variant
  /** Config of the source layer; `dim` is required. */
  readonly config: Record<string, unknown>
  /** What the caller asks of the target. */
  readonly wish?: Record<string, unknown>
  readonly options?: BridgeInput['options']
  /** Weights of a source layer by seed; random, unrelated ones by default. */
  readonly weights?: (seed: number) => ParamValues
  readonly pairing?: 'half' | 'interleaved'
  /** Positions of the source layer; rotary ones of the whole head, paired as `pairing` says, by default. */
  readonly position?: PositionSpec
  /** True when the wish leaves every rank full: bridges that are exact at full rank must be exact then. */
  readonly fullRank?: boolean
  /** Layers that errors are averaged over. */
  readonly layers?: number
  readonly device?: () => Promise<Device>
}

const TOKENS = 96
/** Rounding of sums in another order; a wrong number is far above it. */
const EXACT = 1e-10

/**
 * The conformance suite of bridges from a variant to another: the target's parameters and no others, the same bytes for the same seed,
 * outputs kept where the class is `exact`, finite where not. Of several methods each must beat the one before it.
 */
export function testBridge(bridges: Bridge | readonly Bridge[], t: BridgeTestOptions): void {
  const list = [bridges].flat() as Bridge[]
  const { from, to, device: open = async () => reference() } = t
  const position = positionOf(t)
  const layers = Array.from({ length: t.layers ?? 2 }, (_, seed) => t.weights?.(seed + 1) ?? random(t, seed + 1))

  describe(`${from.name} → ${to.name} ${JSON.stringify(t.wish ?? {})}`, () => {
    const errors = new Map<Bridge, number>()
    it.each(list.map(b => [b.name, b.exactness, b] as const))('%s: %s', async (_name, _exactness, b) => {
      expect([b.from, b.to]).toEqual([from.name, to.name])
      const device = await open()
      let error = 0
      for (const [i, params] of layers.entries()) {
        let placed = position
        const input = { ...inputOf(b, t, params, i), place: (p: PositionSpec) => void (placed = p) }
        expect(b.why?.(input)).toBeUndefined()
        const made = await b.params(input)
        expectShapes(made, to, input.to)
        if (i === 0) expect(await bytesOf(await b.params(inputOf(b, t, params, i)))).toEqual(await bytesOf(made))
        const x = inputs(t, 100 + i)
        const before = (await read(layerAlone(from, t.config, params, x, { position }), device)).data
        const after = (await read(layerAlone(to, input.to, made, x, { position: placed }), device)).data
        error += nmse(after, before) / layers.length
      }
      errors.set(b, error)
      expect(error, 'finite').toBeLessThan(Number.POSITIVE_INFINITY)
      if (b.exactness === 'exact' || (t.fullRank && b.exactness === 'exact-at-full-rank')) expect(error).toBeLessThan(EXACT)
    })
    if (list.length > 1)
      it('each method beats the one before it', () => {
        const said = list.map(b => `${b.name} ${errors.get(b)?.toExponential(3)}`).join(', ')
        for (const [i, b] of list.slice(1).entries()) expect(errors.get(b), said).toBeLessThan(errors.get(list[i])!)
      })
  })
}

const positionOf = ({ config, pairing = 'half', position }: BridgeTestOptions): PositionSpec =>
  position ?? { kind: 'rope', dims: headDimOf(config), theta: 10000, pairing, maxPositions: 4096 }

function inputOf(b: Bridge, t: BridgeTestOptions, params: ParamValues, i: number) {
  const { config, wish = {}, options } = t
  const position = positionOf(t)
  const rotary = position.kind === 'rope' ? { dims: position.dims, pairing: position.pairing } : undefined
  return {
    from: config,
    to: b.config(config, wish, { rotary }) as Record<string, unknown>,
    params,
    rotary,
    position,
    calibration: b.needs === 'calibration' ? calibrationOf(config, i) : undefined,
    seed: 7,
    options,
  } satisfies BridgeInput
}

const random = ({ from, config }: BridgeTestOptions, seed: number): ParamValues =>
  underPrefix(tinyModel(from, config, { seed }).values, 'layers.0.attention')

/** Inputs of a layer (TOKENS, dim): normal, with directions of unequal size, as the residual stream has. */
function numbers(config: Record<string, unknown>, seed: number): Float32Array {
  const dim = config.dim as number
  const r = randomSource(seed)
  return Float32Array.from({ length: TOKENS * dim }, (_, i) => r.normal() * (0.3 + (i % dim) / dim))
}
const inputs = ({ config }: BridgeTestOptions, seed: number): Tensor => tensor(numbers(config, seed), [TOKENS, config.dim as number])

/** Σ yᵀy of other inputs than those that are judged, y = [x 1]. */
function calibrationOf(config: Record<string, unknown>, seed: number): NonNullable<BridgeInput['calibration']> {
  const dim = config.dim as number
  const x = numbers(config, 500 + seed)
  const gram = new Float64Array((dim + 1) ** 2)
  for (let n = 0; n < TOKENS; n++) {
    const y = [...x.subarray(n * dim, (n + 1) * dim), 1]
    y.forEach((a, i) => y.forEach((b, j) => void (gram[i * (dim + 1) + j] += a * b)))
  }
  return { gram, tokens: TOKENS }
}

function expectShapes(made: ParamValues, to: Variant, config: Record<string, unknown>): void {
  const wanted = [...walkParams(to.params(config) as ParamTree)]
  expect([...made.keys()].sort()).toEqual(wanted.map(([path]) => path).sort())
  for (const [path, spec] of wanted) {
    expect(made.get(path)!.weight.shape, path).toEqual(weightShape(spec))
    expect(made.get(path)!.bias !== undefined, `${path} has a bias`).toBe(spec.kind === 'linear' && spec.bias)
  }
}

async function bytesOf(values: ParamValues): Promise<Record<string, Uint8Array>> {
  const out: Record<string, Uint8Array> = {}
  for (const [path, { weight, bias }] of values) {
    out[path] = await weight.bytes()
    if (bias) out[`${path}.bias`] = await bias.bytes()
  }
  return out
}
