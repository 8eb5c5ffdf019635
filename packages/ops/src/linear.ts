import { AttuneError } from '@attune/expr'
import { call1, copyOf, type Dim, mapWith, matmulOf, type Op, sameDim, showShape, type Tensor } from '@attune/tensor'

/**
 * Affine map with a weight stored the way checkpoints store it: x (…, K) f32, w (N, K) in any float or packed type, bias? (N) → (…, N)
 * f32. Kernels may round the activations of packed weights per block of 32 (stated by the kernel's name); the composition
 * decodes the weight and is exact in f32.
 */
export const linear: Op<null> = {
  name: 'linear',
  infer([x, w, bias]) {
    if (
      w.shape.length !== 2 ||
      x.shape.length < 1 ||
      !sameDim(x.shape.at(-1)!, w.shape[1]) ||
      (bias && (bias.shape.length !== 1 || !sameDim(bias.shape[0], w.shape[0])))
    )
      throw new AttuneError(
        'ERR_SHAPE',
        `linear of x ${showShape(x.shape)} with weight ${showShape(w.shape)}${bias ? ` and bias ${showShape(bias.shape)}` : ''}`,
        {},
      )
    const shape: Dim[] = [...x.shape.slice(0, -1), w.shape[0]]
    return [{ dtype: 'f32', shape }]
  },
  compose([x, w, bias]) {
    const rows = x.rank === 1 ? x.unsqueeze(0) : x
    const y = matmulOf(rows, (w.dtype === 'f32' ? w : copyOf(w, 'f32')).transpose())
    const flat = x.rank === 1 ? y.squeeze(0) : y
    return [bias ? mapWith((a, b) => a.add(b), [flat, bias]) : flat]
  },
}
export const linearOf = (x: Tensor, w: Tensor, bias?: Tensor): Tensor => call1(linear, bias ? [x, w, bias] : [x, w], null)
