import { type Constant, isCodec, readDense, rowMajor } from '@attune/tensor'

/** Values of a stored weight as f32, row-major. */
export async function decoded(c: Constant): Promise<Float32Array> {
  const bytes = await c.bytes()
  const size = c.shape.reduce((n, x) => n * x, 1)
  if (isCodec(c.dtype)) {
    const out = new Float32Array(size)
    c.dtype.decode(bytes, out)
    return out
  }
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  if (c.dtype === 'f32') return new Float32Array(aligned.buffer, aligned.byteOffset, size)
  return readDense({ dtype: c.dtype, shape: c.shape, strides: rowMajor(c.shape), offset: 0 }, aligned, new Map()).data as Float32Array
}
