import type { MaskSpec, Variant } from '@attune/attention'
import { type DecoderSpec, decoderParams, llama, type Model, type Probe } from '@attune/models'
import { type ParamValue, walkParams, weightShape } from '@attune/nn'
import type { PositionSpec } from '@attune/position'
import { Constant, copyOf } from '@attune/tensor'
import { randomSource } from './random.ts'

export interface TinyOptions {
  readonly layers?: number
  readonly vocab?: number
  readonly mask?: MaskSpec
  readonly position?: PositionSpec
  readonly seed?: number
  /** What layers after the first have other in their config. */
  readonly others?: Readonly<Record<number, Record<string, unknown>>>
}

/** A small decoder around a variant, with random weights large enough that attention is far from uniform. */
export function tinyModel(
  variant: Variant,
  config: Record<string, unknown>,
  { layers = 1, vocab = 50, mask = { kind: 'causal' }, position, seed = 1, others = {} }: TinyOptions = {},
): Model {
  const dim = config.dim as number
  const headDim = (config.headDim as number | undefined) ?? 8
  const spec: DecoderSpec = {
    kind: 'decoder',
    type: 'llama',
    vocab,
    dim,
    norm: { kind: 'rms', eps: 1e-5 },
    tied: true,
    maxPositions: 512,
    layers: Array.from({ length: layers }, (_, i) => ({
      attention: {
        variant: variant.name,
        config: { ...config, ...others[i] },
        mask,
        position: position ?? { kind: 'rope', dims: headDim, theta: 10000, pairing: 'half', maxPositions: 512 },
      },
      mlp: { kind: 'gated', hidden: 2 * dim, bias: false, activation: 'silu' },
    })),
  }
  const variants = new Map([[variant.name, variant]])
  return { spec, variants, definition: llama, values: randomValues(spec, variants, seed) }
}

export function randomValues(spec: DecoderSpec, variants: Model['variants'], seed: number): Map<string, ParamValue> {
  const r = randomSource(seed)
  const constant = (shape: readonly number[], scale: number, shift = 0): Constant => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => shift + scale * r.normal())
    return new Constant('f32', shape, new Uint8Array(data.buffer))
  }
  const values = new Map<string, ParamValue>()
  for (const [path, p] of walkParams(decoderParams(spec, variants))) {
    const shape = weightShape(p)
    const weight =
      p.kind === 'array'
        ? constant(shape, p.spread, p.init)
        : p.kind === 'vector'
          ? constant(shape, 0.1, p.init)
          : constant(shape, p.kind === 'linear' ? 1.5 / Math.sqrt(shape[1]) : 1)
    values.set(path, { weight, bias: p.kind === 'linear' && p.bias ? constant([shape[0]], 0.1) : undefined })
  }
  return values
}

/** Output `out` (N, dim): the first layer's attention; output `logits` (N, vocab). */
export const attentionOutput: Probe = {
  key: 'test-attention',
  build: d => ({ outputs: { out: copyOf(d.attentionOutputs[0]), logits: d.logits() } }),
}
