import { AttuneError } from '@attune/expr'
import { isCodec, isFloat, type Storage } from '../dtype.ts'
import type { Op } from '../op.ts'
import { product } from '../shape.ts'
import { call1, type Tensor } from '../tensor.ts'
import { alloc } from './map.ts'

/**
 * A dense copy, converted to `dtype`: materialises a view, casts, decodes and encodes packed values. f16 and bf16 round to nearest even,
 * floats become integers toward zero, bool is "not zero". A codec that cannot encode throws.
 */
export const copy: Op<{ dtype: Storage }> = {
  name: 'copy',
  infer: ([x], { dtype }) => [{ dtype, shape: x.shape }],
  loops([x], _attrs, [out]) {
    const n = product(out.shape)
    if (isCodec(out.dtype)) {
      if (!out.dtype.encode) throw new AttuneError('ERR_DTYPE', `${out.dtype.name} has no encoder`, { codec: out.dtype.name })
      return [Float32Array.from(x.data)]
    }
    const data = alloc(out.dtype, n)
    if (out.dtype === 'bool') for (let i = 0; i < n; i++) data[i] = x.data[i] ? 1 : 0
    else data.set(x.data)
    return [data]
  },
  vjp: ([x], [y], [grad]) => [isFloat(x.dtype) && isFloat(y.dtype) ? grad : undefined],
}

/** Dense copy of `x`, in its own type unless another is given; packed and half types become f32 by default. */
export const copyOf = (x: Tensor, dtype: Storage = x.dtype === 'i32' || x.dtype === 'u8' || x.dtype === 'bool' ? x.dtype : 'f32'): Tensor =>
  call1(copy, [x], { dtype })
/** `x` itself when its layout is dense, else a copy. */
export const dense = (x: Tensor): Tensor => (x.contiguous ? x : copyOf(x, x.dtype))
