import type { Storage } from '../dtype.ts'
import type { Op } from '../op.ts'
import { product } from '../shape.ts'
import { call1, type Tensor } from '../tensor.ts'
import { alloc } from './map.ts'

/** A dense copy, converted to `dtype`: materialises a view, casts, decodes packed values. f16 and bf16 round to nearest even. */
export const copy: Op<{ dtype: Storage }> = {
  name: 'copy',
  infer: ([x], { dtype }) => [{ dtype, shape: x.shape }],
  loops([x], _attrs, [out]) {
    const data = alloc(out.dtype, product(out.shape))
    data.set(x.data)
    return [data]
  },
  vjp: (_in, _out, [grad]) => [grad],
}

/** Dense copy of `x`, in its own type unless another is given; packed and half types become f32 by default. */
export const copyOf = (x: Tensor, dtype: Storage = x.dtype === 'i32' || x.dtype === 'u8' || x.dtype === 'bool' ? x.dtype : 'f32'): Tensor =>
  call1(copy, [x], { dtype })
/** `x` itself when its layout is dense, else a copy. */
export const dense = (x: Tensor): Tensor => (x.contiguous ? x : copyOf(x, x.dtype))
