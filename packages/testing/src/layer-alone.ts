import { causal, type Variant } from '@attune/attention'
import { windowStates } from '@attune/cache'
import { bindParams, type ParamTree, type ParamValues } from '@attune/nn'
import { bindPosition, type PositionSpec, ropeFrequencies } from '@attune/position'
import { fill, iota, type Tensor, tensor } from '@attune/tensor'

export interface AloneOptions {
  readonly pairing?: 'half' | 'interleaved'
  /** Rotary positions of the whole head by default. */
  readonly position?: PositionSpec
}

/** One attention layer over x (N, dim) from the start of a sequence, causal: (N, dim). */
export function layerAlone(
  variant: Variant,
  config: Record<string, unknown>,
  values: ParamValues,
  x: Tensor,
  { pairing = 'half', position = { kind: 'rope', dims: headDimOf(config), theta: 10000, pairing, maxPositions: 4096 } }: AloneOptions = {},
): Tensor {
  const n = x.shape[0] as number
  const tokens = {
    count: n,
    batchRows: 1,
    batch: fill(0, [n], 'i32'),
    row: iota(n),
    position: iota(n),
    offsets: tensor([0, n], [2], 'i32'),
  }
  const params = bindParams(variant.params(config) as ParamTree, values)
  return variant.forward({
    x,
    params,
    position: bindPosition(position, tokens.position, spec => {
      const { values: frequencies, factor } = ropeFrequencies(spec, n)
      return { frequencies: tensor(frequencies, [frequencies.length]), factor }
    }),
    state: windowStates(tokens)(0, variant.state(config), params),
    mask: causal,
    config,
  })
}

/** Numbers of a head that turn, in test layers. */
export const headDimOf = (config: Record<string, unknown>): number => (config.headDim as number | undefined) ?? 8
