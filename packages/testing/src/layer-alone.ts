import { causal, type Variant } from '@attune/attention'
import { contiguous, rowsView } from '@attune/cache'
import { bindParams, type ParamTree, type ParamValues } from '@attune/nn'
import { bindPosition } from '@attune/position'
import { fill, iota, type Tensor, tensor } from '@attune/tensor'

export interface AloneOptions {
  readonly pairing?: 'half' | 'interleaved'
}

/** One attention layer over x (N, dim) from the start of a sequence, causal, with rotary positions: (N, dim). */
export function layerAlone(
  variant: Variant,
  config: Record<string, unknown>,
  values: ParamValues,
  x: Tensor,
  { pairing = 'half' }: AloneOptions = {},
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
  const state = variant.state(config)
  const layout = contiguous().layout(causal, n, n)
  const buffers = Object.fromEntries(Object.entries(state).map(([k, s]) => [k, fill(0, [1, s.heads, layout.capacity, s.width])]))
  const dims = headDimOf(config)
  const frequencies = Float32Array.from({ length: dims / 2 }, (_, i) => 10000 ** ((-2 * i) / dims))
  return variant.forward({
    x,
    params: bindParams(variant.params(config) as ParamTree, values),
    position: bindPosition({ kind: 'rope', dims, theta: 10000, pairing, maxPositions: 4096 }, tokens.position, () => ({
      frequencies: tensor(frequencies, [dims / 2]),
      factor: 1,
    })),
    state: rowsView(state, buffers, tokens, { layout, slots: iota(n), lengths: fill(n, [1], 'i32') }, []),
    mask: causal,
    config,
  })
}

/** Numbers of a head that turn, in test layers. */
export const headDimOf = (config: Record<string, unknown>): number => (config.headDim as number | undefined) ?? 8
