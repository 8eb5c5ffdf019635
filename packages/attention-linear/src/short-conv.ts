import { type StateView, type TailKind, tail } from '@attune/attention'
import { type ArraySpec, activation, array, type VectorSpec, vector } from '@attune/nn'
import { conv1dOf } from '@attune/ops'
import { dense, mapWith, type Tensor } from '@attune/tensor'

/** Taps (channels, K) of a causal depthwise convolution, the last one for the token itself, and perhaps a bias (channels). */
export type ShortConvParams = { readonly taps: ArraySpec; readonly bias: VectorSpec }
export const shortConvParams = (channels: number, taps: number, bias = false): ShortConvParams =>
  ({ taps: array([channels, taps], { spread: 0.4 }), ...(bias && { bias: vector(channels, 0) }) }) as ShortConvParams

/** The inputs it must remember. */
export const shortConvState = (channels: number, taps: number): TailKind => tail(taps - 1, channels)

/** Convolves x (N, …channels) over time, continued from the tail `name`, then an activation. */
export function shortConv(
  p: { readonly taps: Tensor; readonly bias?: Tensor },
  x: Tensor,
  { state, name, act }: { state: StateView; name: string; act: string },
): Tensor {
  const flat = dense(x).reshape([x.shape[0], p.taps.shape[0]])
  const { out, tail: next } = conv1dOf({ x: flat, weight: p.taps, tail: state.read(name), offsets: state.tokens.offsets, bias: p.bias })
  state.write(name, next)
  return mapWith(activation(act), [out]).reshape(x.shape)
}
